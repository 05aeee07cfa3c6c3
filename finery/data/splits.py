"""Which samples validate and which calibrate: decided by each sample's own hash.

A sample keeps its place whatever is added, removed or reordered around it, and equal samples
stay on one side.
"""

import hashlib
from collections.abc import Sequence

from finery.data.alpaca import Example


def validation_split(
    examples: Sequence[Example], val_size: float, seed: int
) -> tuple[list[int], list[int]]:
    """Indices of the training and of the validation samples.

    About `val_size` of the samples validate, at least one if `val_size` is above 0 and two
    samples differ.
    """
    ranks = [_rank(example, f"validation {seed}") for example in examples]
    limit = max(val_size, min(ranks, default=0.0)) if val_size > 0 else -1.0
    validation = [index for index, rank in enumerate(ranks) if rank <= limit]
    if len(validation) == len(ranks):
        validation = []
    chosen = set(validation)
    return [index for index in range(len(ranks)) if index not in chosen], validation


def calibration_set(
    examples: Sequence[Example], indices: Sequence[int], count: int, seed: int
) -> list[int]:
    """At most `count` of `indices`, spread over the samples at random, in their order."""
    ranked = sorted(indices, key=lambda i: (_rank(examples[i], f"calibration {seed}"), i))
    return sorted(ranked[:count])


def fingerprint(examples: Sequence[Example]) -> str:
    """SHA-256 of the conversations: the same for the same words, however their file is laid out."""
    digest = hashlib.sha256()
    for example in examples:
        digest.update(_words(example))
    return digest.hexdigest()


def _rank(example: Example, salt: str) -> float:
    """A number in [0, 1) that depends on the words and the salt alone."""
    digest = hashlib.sha256(salt.encode() + b"\0" + _words(example)).digest()
    return int.from_bytes(digest[:8]) / 2**64


def _words(example: Example) -> bytes:
    parts = [part for message in example.messages for part in (message["role"], message["content"])]
    return "\0".join([*parts, *example.keywords, ""]).encode("utf-8", "surrogatepass")
