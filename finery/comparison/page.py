"""The comparison as one HTML file that needs nothing else, and as Markdown for a pull request."""

import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finery.comparison.flips import Flip, counts, flips
from finery.comparison.numbers import shown
from finery.comparison.plots import plot
from finery.comparison.resampling import RESAMPLES, SEED
from finery.comparison.table import Difference, Estimate, Table, table
from finery.comparison.variants import ALL, BASE, MERGED, Variant, datasets
from finery.comparison.words import said

LIMIT = 1_000_000
"""Bytes of a page."""
SHOWN = 40
"""Flipped samples of each pair, better and worse together, at first."""


@dataclass(frozen=True)
class Report:
    """All that a page says: a table for each dataset, and the flips of each pair."""

    variants: Sequence[Variant]
    tables: list[Table]
    flips: dict[tuple[str, str], list[Flip]]


def report(variants: Sequence[Variant]) -> Report:
    """Compare merged with base, and each other model with merged."""
    names = {variant.name: variant for variant in variants}
    pairs = [(MERGED, BASE)] if {MERGED, BASE} <= names.keys() else []
    pairs += [(name, MERGED) for name in names if name not in (BASE, MERGED) and MERGED in names]
    tables = [table(variants, dataset, pairs) for dataset in datasets(variants[0])]
    return Report(variants, tables, {pair: flips(*map(names.get, pair)) for pair in pairs})


def html(report: Report, language: str) -> str:
    """The page; of flipped answers as many as keep it under `LIMIT`."""
    first = report.tables[0]
    plots = [plot(n, {m: first.cells[m][n] for m in first.cells}) for n in first.numbers]
    most = SHOWN
    while len((page := _rendered(report, language, plots, most)).encode()) >= LIMIT and most:
        most //= 2
    return page


def markdown(report: Report, language: str) -> str:
    """The numbers and how sure they are, without the answers."""
    return "\n".join(_lines(report, language)) + "\n"


def cell(number: str, estimate: Estimate, difference: bool = False) -> str:
    """An estimate with its interval, as it is read."""
    value = shown(number, estimate.value, difference)
    return f"{value} {brackets(number, estimate, difference)}".strip()


def brackets(number: str, estimate: Estimate, difference: bool = False) -> str:
    """The interval of an estimate; nothing if it has none."""
    if estimate.low is None or estimate.high is None:
        return ""
    ends = (estimate.low, estimate.high)
    low, high = (shown(number, each, difference).partition(" ")[0] for each in ends)
    return f"[{low}, {high}]"


def chance(p: float) -> str:
    """A probability as it is read."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def clean(text: str) -> str:
    """A text without what would change the text around it: control and direction signs."""
    return "".join(
        letter
        if letter in "\n\t" or unicodedata.category(letter) not in ("Cc", "Cf", "Cs")
        else "�"
        for letter in text
    )


def _rendered(report: Report, language: str, plots: Sequence[str], most: int) -> str:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"clean": clean, "chance": chance}
    environment.globals |= {"cell": cell, "shown": shown, "brackets": brackets, "counts": counts}
    return environment.get_template("page.html.j2").render(
        say=lambda key, **values: said(language, key, **values),
        language=language,
        report=report,
        plots=[Markup(each) for each in plots],
        extremes=lambda found: _extremes(found, most),
        resamples=RESAMPLES,
        seed=SEED,
        ALL=ALL,
    )


def _extremes(found: Sequence[Flip], most: int) -> list[Flip]:
    """The largest losses, then the largest gains."""
    worse = [flip for flip in found if flip.gain < 0]
    better = [flip for flip in reversed(found) if flip.gain > 0]
    half = max(most // 2, most - len(better))
    kept = worse[:half]
    return kept + better[: most - len(kept)]


def _lines(report: Report, language: str) -> Iterator[str]:
    yield f"## {said(language, 'title')}\n"
    for pair in report.tables[0].pairs:
        yield "- " + said(language, "outcome", name=pair.name, other=pair.other, **pair.outcome)
    for each in report.tables:
        key = "all" if each.dataset == ALL else "dataset"
        yield f"\n### {said(language, key, name=_plain(each.dataset), samples=each.samples)}\n"
        yield _row([said(language, "model"), *each.numbers])
        yield _row(["---"] * (1 + len(each.numbers)))
        for name, cells in each.cells.items():
            yield _row([name, *(cell(number, cells[number]) for number in each.numbers)])
    for pair in report.tables[0].pairs:
        yield f"\n### {said(language, 'against', name=pair.name, other=pair.other)}\n"
        heads = ["number", "difference", "verdict", *(["recovery"] if pair.recovery else [])]
        yield _row([said(language, head) for head in heads])
        yield _row(["---"] * len(heads))
        yield from (_row(_compared(each, pair.recovery, language)) for each in pair.differences)
        better, worse = counts(report.flips[pair.name, pair.other])
        yield "\n" + said(language, "flips_note", better=better, worse=worse)


def _compared(found: Difference, recovery: dict[str, Estimate], language: str) -> list[str]:
    verdict = f"{said(language, found.verdict)}, {chance(found.p)}"
    cells = [found.number, cell(found.number, found.gain, difference=True), verdict]
    if not recovery:
        return cells
    left = recovery.get(found.number)
    return [*cells, cell("exact_match", left) if left else ""]


def _row(cells: Sequence[Any]) -> str:
    return f"| {' | '.join(map(str, cells))} |"


def _plain(name: str) -> str:
    """A name of a dataset that Markdown takes as it is."""
    return "".join(f"\\{sign}" if sign in r"\`*_{}[]<>()#+-.!|~" else sign for sign in clean(name))
