"""What became of every key: for the terminal, as Markdown, as JSON."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from finery.moving.llamafactory.keys.draft import CARRIED, LEFT, NOTED, UNKNOWN, Draft, Outcome

ORDER = (CARRIED, NOTED, LEFT, UNKNOWN)
SHOWN = 60


def outcomes(drafts: Sequence[Draft]) -> list[Outcome]:
    """In the order of the files and of their keys."""
    return [draft.outcomes[key] for draft in drafts for key in draft.source.given]


def summary(found: Sequence[Outcome]) -> str:
    """`23 keys: 12 carried, 3 carried, with a note, ...` in one line."""
    counts = Counter(outcome.fate for outcome in found)
    said = "; ".join(f"{counts[fate]} {fate}" for fate in ORDER if counts[fate])
    return f"{len(found)} keys: {said}"


def rows(draft: Draft) -> list[tuple[str, str, str, str]]:
    """Of each key where it is said, key and value, what it became, and the note."""
    return [
        (
            each.given.where.removeprefix(draft.source.name).lstrip(": "),
            f"{each.given.key}: {shown(each.given.value)}",
            became(each),
            each.note,
        )
        for each in outcomes([draft])
    ]


def became(outcome: Outcome) -> str:
    if outcome.fate in (LEFT, UNKNOWN):
        return outcome.fate
    return outcome.to or "nothing to do"


def markdown(drafts: Sequence[Draft], todo: Sequence[str]) -> str:
    found = outcomes(drafts)
    lines = ["# From LLaMA-Factory", "", summary(found) + ".", ""]
    if todo:
        lines += ["## To do", "", *(f"- {each}" for each in todo), ""]
    for draft in drafts:
        lines += [f"## {draft.source.name} ({draft.source.task})", ""]
        lines += ["| line | key | became | note |", "|---|---|---|---|"]
        for cells in rows(draft):
            lines.append("| " + " | ".join(_cell(cell) for cell in cells) + " |")
        lines.append("")
    return "\n".join(lines)


def as_json(drafts: Sequence[Draft], todo: Sequence[str]) -> dict[str, Any]:
    return {
        "todo": list(todo),
        "keys": [
            {
                "file": draft.source.name, "task": draft.source.task, "where": each.given.where,
                "key": each.given.key, "value": each.given.value, "fate": each.fate,
                "to": each.to, "note": each.note,
            }
            for draft in drafts
            for each in outcomes([draft])
        ],
    }  # fmt: skip


def shown(value: Any) -> str:
    text = "" if value is None else str(value).replace("\n", " ")
    text = text.lower() if isinstance(value, bool) else text
    return text if len(text) <= SHOWN else text[: SHOWN - 3] + "..."


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
