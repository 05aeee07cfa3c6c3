"""How long the samples are, as a picture, drawn by a process of its own.

That process loads matplotlib, which takes as long as to prepare some ten thousand rows, while
this one prepares them. It is given the bars and gives back a PNG; it touches no file, and ends
when this one does.
"""

import json
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np

from finery.errors import PipelineError

BARS = 40


class Histogram:
    """How many samples of each split are how long, in tokens."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def draw(self, lengths: dict[str, np.ndarray], cutoff_len: int, file: Path) -> None:
        """Write the picture, a PNG, once; the same lengths give the same bytes."""
        png, said = self._process.communicate(json.dumps(_bars(lengths, cutoff_len)).encode())
        if self._process.returncode:
            last = said.decode(errors="replace").strip().rpartition("\n")[2]
            raise PipelineError(f"the histogram of the lengths could not be drawn: {last}")
        file.write_bytes(png)


def _bars(lengths: dict[str, np.ndarray], cutoff_len: int) -> dict[str, Any]:
    longest = max((int(each.max(initial=1)) for each in lengths.values()), default=1)
    edges = np.linspace(0, longest, min(BARS, longest) + 1)
    return {
        "edges": edges.tolist(),
        "counts": {name: np.histogram(each, edges)[0].tolist() for name, each in lengths.items()},
        "cutoff_len": cutoff_len if longest >= cutoff_len else None,
    }


def _answer() -> None:
    """In the process of its own: load matplotlib, wait for the bars, give back the picture."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if given := sys.stdin.buffer.read():  # nothing, if who asked has ended
        figure, png = Figure(figsize=(7, 4), layout="constrained"), BytesIO()
        _draw(figure, **json.loads(given))
        FigureCanvasAgg(figure).print_png(png, metadata={"Software": None})
        sys.stdout.buffer.write(png.getvalue())


def _draw(
    figure: Any, edges: list[float], counts: dict[str, list[int]], cutoff_len: int | None
) -> None:
    axes = figure.add_subplot(xlabel="tokens", ylabel="samples")
    below = np.zeros(len(edges) - 1, int)
    for name, each in counts.items():
        axes.bar(edges[:-1], each, np.diff(edges), below, align="edge", label=name)
        below += each
    if cutoff_len is not None:
        axes.axvline(cutoff_len, color="black", linestyle="--", label="cutoff_len")
    axes.grid(alpha=0.3)
    axes.legend()


if __name__ == "__main__":
    _answer()
