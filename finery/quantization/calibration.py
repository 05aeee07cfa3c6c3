"""The samples a quantizer sees, none of them dropped or cut in silence.

GPTQModel leaves out what has ten tokens or fewer, and cuts what is longer than the model takes.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from finery.errors import UserError

TOO_SHORT = 10
LENGTHS = (
    "max_position_embeddings", "max_sequence_length", "max_seq_len", "n_positions", "seq_length",
)  # fmt: skip
"""Where a config says how many tokens a model takes; the first that is there counts."""


class CalibrationError(UserError):
    """The prepared data has nothing to calibrate on."""


@dataclass(frozen=True)
class Calibration:
    """What the quantizer sees: `rows` of token ids, made of `samples`, of which some were
    `joined` and some rows `cut` to what the model takes."""

    rows: list[list[int]]
    samples: int
    joined: int
    cut: int

    @property
    def tokens(self) -> int:
        return sum(map(len, self.rows))

    @property
    def sha256(self) -> str:
        """Of the rows as JSON: which samples these were."""
        return hashlib.sha256(json.dumps(self.rows, separators=(",", ":")).encode()).hexdigest()

    def __str__(self) -> str:
        said = f"{self.samples} samples, {self.tokens} tokens"
        if self.joined:
            said += f", {self.joined} samples of {TOO_SHORT} tokens or fewer joined to longer ones"
        if self.cut:
            said += f", {self.cut} cut to the {max(map(len, self.rows))} tokens the model takes"
        return said


def calibration(samples: Sequence[list[int]], longest: int | None) -> Calibration:
    """Join what is too short, in its order, and cut what is longer than `longest` tokens.

    `samples` are token ids. Raises `CalibrationError` if all of them together are too short.
    """
    used = [sample for sample in samples if sample]
    short = [sample for sample in used if len(sample) <= TOO_SHORT]
    rows = [*(sample for sample in used if len(sample) > TOO_SHORT), *_joined(short)]
    if len(rows) > 1 and len(rows[-1]) <= TOO_SHORT:  # what was left when all others were joined
        rows[-2:] = [rows[-2] + rows[-1]]
    if not rows or len(rows[-1]) <= TOO_SHORT:
        raise CalibrationError(
            f"the {len(samples)} calibration samples have {sum(map(len, samples))} tokens together;"
            f" quantizing needs more than {TOO_SHORT}: raise data.calibration_samples, or"
            " train on longer data (train.STEP.data)"
        )
    cut = sum(len(row) > longest for row in rows) if longest else 0
    return Calibration([row[:longest] for row in rows], len(used), len(short), cut)


def _joined(short: Sequence[list[int]]) -> list[list[int]]:
    """The samples put together until they are long enough; the last may be what was left."""
    rows: list[list[int]] = []
    for sample in short:
        if rows and len(rows[-1]) <= TOO_SHORT:
            rows[-1] = rows[-1] + sample
        else:
            rows.append(sample)
    return rows


def longest_text(model: Path) -> int | None:
    """How many tokens a model takes, by its config.json; None if that does not say."""
    config = json.loads((model / "config.json").read_text(encoding="utf-8"))
    found = (config.get(name) for name in LENGTHS)
    return next((length for length in found if isinstance(length, int) and length > 0), None)
