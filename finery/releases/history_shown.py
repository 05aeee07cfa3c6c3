"""A history as a person reads it: a table, and a picture of every metric."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from finery.releases.errors import ReleaseError
from finery.releases.history import Point, declines

KINDS = (".svg", ".png", ".pdf")


def show(points: Sequence[Point], metrics: Sequence[str]) -> None:
    """Print a line a run, oldest first, and below what was better before."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 10_000  # a log has no width: a run stays on its line
    head = ("when", "commit", "released", *metrics, "")
    table = Table(*head, box=SIMPLE_HEAD if console.is_terminal else None)
    before = points[0].tests
    for point in points:
        note = "other tests" if point.tests != before else ""
        before = point.tests
        values = [_said(point, metric) for metric in metrics]
        when = point.when[:16].replace("T", " ")
        table.add_row(*map(Text, (when, point.commit[:8], ", ".join(point.named), *values, note)))
    console.print(table)
    for each in declines(points, metrics):
        console.print(Text(str(each)))


def plot(points: Sequence[Point], metrics: Sequence[str], file: Path) -> None:
    """Draw each metric over the runs; a vertical line where the tests became others.

    Raises `ReleaseError` for a kind of file that is not drawn.
    """
    import matplotlib
    from matplotlib.figure import Figure

    if file.suffix not in KINDS:
        raise ReleaseError(f"{file}: pictures are {', '.join(KINDS)}; name the file so")
    with matplotlib.rc_context({"svg.hashsalt": "history", "svg.fonttype": "none"}):
        size = (max(6.0, 0.5 * len(points)), 2.2 * len(metrics))
        figure = Figure(figsize=size, layout="constrained")
        panels = figure.subplots(len(metrics), 1, sharex=True, squeeze=False)[:, 0]
        for axes, metric in zip(panels, metrics, strict=True):
            _draw(axes, points, metric)
        labels = [", ".join(point.named) or point.commit[:8] for point in points]
        panels[-1].set_xticks(range(len(points)), labels, rotation=60, ha="right", fontsize=8)
        metadata = {"Date": None} if file.suffix == ".svg" else None
        figure.savefig(file, metadata=metadata)


def _draw(axes: Any, points: Sequence[Point], metric: str) -> None:
    places = [place for place, point in enumerate(points) if metric in point.values]
    values = [points[place].values[metric] for place in places]
    axes.plot(places, values, "o-", color="#3987e5", markersize=4)
    for place in range(1, len(points)):
        if points[place].tests != points[place - 1].tests:
            axes.axvline(place - 0.5, color="gray", linestyle=":")
    axes.set_title(metric, fontsize=9, loc="left")
    axes.grid(axis="y", alpha=0.25)


def _said(point: Point, metric: str) -> str:
    value = point.values.get(metric)
    return "" if value is None else f"{value:.4g}"
