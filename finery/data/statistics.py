"""What the prepared data is like, in numbers and as a picture; the same data, the same bytes."""

from pathlib import Path
from typing import Any

import numpy as np

BARS = 40


def describe(facts: np.ndarray) -> dict[str, Any]:
    """How many samples and tokens, how long, and how much of them the loss counts."""
    tokens, trained = facts["tokens"], int(facts["trained"].sum())
    total = int(tokens.sum())
    return {
        "samples": len(facts),
        "tokens": total,
        "trained_tokens": trained,
        "trained_share": round(trained / total, 4) if total else 0.0,
        "cut": int(facts["cut"].sum()),
        "mean": round(total / len(facts), 1) if total else 0.0,
        **{name: _quantile(tokens, share) for name, share in (("median", 0.5), ("p95", 0.95))},
        "longest": int(tokens.max(initial=0)),
    }


def histogram(lengths: dict[str, np.ndarray], cutoff_len: int, file: Path) -> None:
    """A PNG: how many samples of each split are how long, in tokens."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.add_subplot(xlabel="tokens", ylabel="samples")
    longest = max((int(each.max(initial=1)) for each in lengths.values()), default=1)
    edges = np.linspace(0, longest, min(BARS, longest) + 1)
    below = np.zeros(len(edges) - 1, int)
    for name, tokens in lengths.items():
        counts = np.histogram(tokens, edges)[0]
        axes.bar(edges[:-1], counts, np.diff(edges), below, align="edge", label=name)
        below += counts
    if longest >= cutoff_len:
        axes.axvline(cutoff_len, color="black", linestyle="--", label="cutoff_len")
    axes.grid(alpha=0.3)
    axes.legend()
    FigureCanvasAgg(figure).print_png(file, metadata={"Software": None})


def _quantile(values: np.ndarray, share: float) -> int:
    """The value that `share` of the others do not exceed: one of them, not a mean of two."""
    return int(np.sort(values)[int(share * (len(values) - 1))]) if len(values) else 0
