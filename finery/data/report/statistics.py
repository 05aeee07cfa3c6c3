"""What the prepared data is like, in numbers."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from finery.data.tokens.tokenized import Tokenized


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


def datasets(made: Sequence[Tokenized]) -> dict[str, Any]:
    """`datasets`: what each is like; and how many rows, rejected and dropped ones, all have."""
    counted = ("rows", "rejected", "dropped")
    each = {
        one.name: {name: one.summary[name] for name in (*counted, "scripts")}
        | describe(one.facts())
        for one in made
    }
    return {"datasets": each} | {n: sum(one.summary[n] for one in made) for n in counted}


def _quantile(values: np.ndarray, share: float) -> int:
    """The value that `share` of the others do not exceed: one of them, not a mean of two."""
    return int(np.sort(values)[int(share * (len(values) - 1))]) if len(values) else 0
