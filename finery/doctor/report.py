"""The findings as text."""

from rich.console import Console
from rich.text import Text

from finery.doctor.finding import Finding

MARKS = {"ok": "✓", "note": "!", "problem": "✗"}
PLAIN = {"ok": "ok", "note": "! ", "problem": "X "}
STYLES = {"ok": "green", "note": "yellow", "problem": "bold red"}


def show(findings: list[Finding]) -> None:
    """Print a line for each finding, below it what to do, and the verdict at the end."""
    console = Console(highlight=False)
    marks = MARKS if _can_print(console, "".join(MARKS.values())) else PLAIN
    column = max(len(finding.check) for finding in findings)
    for finding in findings:
        line = Text.assemble(
            (marks[finding.level], STYLES[finding.level]), f" {finding.check:<{column}}  ",
            finding.what,
        )  # fmt: skip
        console.print(line, soft_wrap=True)
        if finding.advice:
            indent = " " * (column + len(marks[finding.level]) + 3)
            console.print(Text(f"{indent}do: {finding.advice}", style="dim"), soft_wrap=True)
    console.print(summary(findings), soft_wrap=True)


def summary(findings: list[Finding]) -> str:
    """The verdict: whether the configured pipeline runs here."""
    counts = {level: sum(f.level == level for f in findings) for level in MARKS}
    tail = f"{counts['ok']} fine, {counts['note']} to note, {counts['problem']} in the way"
    verdict = "cannot run here" if counts["problem"] else "can run here"
    return f"The pipeline {verdict}: {tail}."


def _can_print(console: Console, text: str) -> bool:
    try:
        text.encode(console.encoding)
    except UnicodeEncodeError:
        return False
    return True
