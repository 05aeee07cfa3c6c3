"""Releases as a person reads them, and as a program does."""

from collections.abc import Sequence
from dataclasses import asdict

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from finery.releases.registry import Release
from finery.to_json import to_json


def show(found: Sequence[Release], metrics: Sequence[str]) -> None:
    """Print a table of releases with some of their metrics, named like identity_test.bleu."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 10_000  # a log has no width: a release stays on its line
    head = ("name", "version", "stage", *metrics, "commit", "registered", "override")
    table = Table(*head, box=SIMPLE_HEAD if console.is_terminal else None)
    for release in found:
        table.add_row(*map(Text, _cells(release, metrics)))
    console.print(table)


def as_json(found: Sequence[Release]) -> str:
    """A list of releases with all their metrics and their records."""
    return to_json([asdict(release) for release in found], indent=2)


def summary(release: Release, stage: str) -> list[str]:
    """How a release came into its stage: a line, and one for each metric compared."""
    record = release.records.get(stage, {})
    champion, override = record.get("champion"), record.get("override")
    lines = [f"{release.name} {release.version} is in {stage}"]
    if champion:
        lines[0] += f", after {champion}"
    if override is not None:
        lines.append(f"  by override: {override}; against: {record['overridden']}")
    for c in record.get("comparisons", ()):
        lines.append(
            f"  {c['metric']}: {c['verdict']} ({c['candidate']:.4g} against {c['champion']:.4g},"
            f" gain {c['gain']:+.3g}, {c['low']:+.3g} to {c['high']:+.3g}, {c['samples']} samples)"
        )
    return lines


def _cells(release: Release, metrics: Sequence[str]) -> list[str]:
    values = [_metric(release, metric) for metric in metrics]
    stages = ", ".join(release.stages)
    when = release.registered[:16].replace("T", " ")
    row = [release.name, release.version, stages, *values, release.commit[:8], when]
    return [*row, release.override or ""]


def _metric(release: Release, metric: str) -> str:
    dataset, _, name = metric.rpartition(".")
    value = release.metrics.get(dataset, {}).get(name)
    return f"{value:.4g}" if isinstance(value, int | float) else ""
