"""Which samples validate and which calibrate: decided by each sample's own hash.

A sample keeps its place whatever is added, removed or reordered around it, and equal samples
stay on one side. The functions take `keys`, an array of one uint64 a sample.
"""

import hashlib
import json

import numpy as np

from finery.data.formats.examples import Example, Message


def digest(example: Example) -> bytes:
    """SHA-256 of what a row says: the same for the same words, however their file is laid out."""
    return hashlib.sha256(_words(example)).digest()


def keys(digests: list[bytes]) -> np.ndarray:
    """The first eight bytes of each digest: enough to tell a billion samples apart."""
    return np.frombuffer(b"".join(each[:8] for each in digests), "<u8")


def validating(keys: np.ndarray, val_size: float, seed: int) -> np.ndarray:
    """A flag for each sample: whether it validates. About `val_size` of the samples do."""
    return _ranks(keys, f"validation {seed}") < val_size


def calibrating(keys: np.ndarray, candidates: np.ndarray, count: int, seed: int) -> np.ndarray:
    """At most `count` of the indices `candidates`, no two of equal samples, in their order."""
    different = candidates[np.unique(keys[candidates], return_index=True)[1]]
    return np.sort(different[ranked(keys[different], f"calibration {seed}")[:count]])


def ranked(keys: np.ndarray, salt: str) -> np.ndarray:
    """Indices in an order that depends on the keys and the salt alone."""
    return np.argsort(_ranks(keys, salt), kind="stable")


def _ranks(keys: np.ndarray, salt: str) -> np.ndarray:
    """Numbers in [0, 1) that depend on keys and salt alone: the finalizer of SplitMix64."""
    mixed = keys + np.frombuffer(hashlib.sha256(salt.encode()).digest()[:8], "<u8")
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return (mixed ^ (mixed >> np.uint64(31))) / 2.0**64


def _words(example: Example) -> bytes:
    parts: list[str] = []
    for message in example.messages:
        parts += _said(message)
    for answer in (example.chosen, example.rejected):
        if answer is not None:
            parts += _said(answer)
    if example.text is not None:
        parts.append(example.text)
    if example.tools:
        parts.append(_canonical(example.tools))
    if example.desirable is not None:
        parts.append(str(example.desirable))
    if example.uncounted:
        parts.append(f"uncounted {example.uncounted}")
    parts += [picture.name for picture in example.images]
    parts.append("")
    return "\0".join(parts).encode()


def _said(message: Message) -> tuple[str, str]:
    if len(message) == 2:
        return message["role"], message["content"]
    return message["role"], _canonical(message)


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)
