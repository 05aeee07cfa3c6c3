"""What a run came to, as artifacts on the Prefect page."""

import base64
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from prefect.artifacts import create_markdown_artifact, create_table_artifact

from finery.pipeline.reports import metrics_files, plot_images
from finery.pipeline.runs import Outcome


def publish(outcomes: Sequence[Outcome], root: Path) -> None:
    """Put the outcomes, the metrics and the plots on the page of the flow run."""
    rows = [
        {"stage": o.stage, "outcome": o.result, "seconds": round(o.seconds, 1), "why": o.why}
        for o in outcomes
    ]
    create_table_artifact(rows, key="stages", description="What became of each stage, and why")
    create_markdown_artifact(
        "\n\n".join(_sections(root)), key="report", description="Metrics and plots"
    )


def _sections(root: Path) -> Iterator[str]:
    yield "# Metrics"
    for file in metrics_files(root):
        values = dict(_flat(json.loads((root / file).read_text(encoding="utf-8"))))
        lines = [f"| {key} | {value} |" for key, value in values.items()]
        yield "\n".join([f"## {file}", "", "| metric | value |", "|---|---|", *lines])
    yield "# Plots"
    for file in plot_images(root):
        image = base64.b64encode((root / file).read_bytes()).decode()
        yield f"## {file}\n\n![{file}](data:image/png;base64,{image})"


def _flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested mappings and lists, each with its dotted key."""
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, inner in items:
            yield from _flat(inner, f"{key}.{name}" if key else str(name))
    else:
        yield key, value
