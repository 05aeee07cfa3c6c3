"""What the prepared data is like, in numbers."""

from typing import Any

import numpy as np


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


def _quantile(values: np.ndarray, share: float) -> int:
    """The value that `share` of the others do not exceed: one of them, not a mean of two."""
    return int(np.sort(values)[int(share * (len(values) - 1))]) if len(values) else 0
