"""Samples that are there twice, word for word or nearly so, within a split and between splits."""

import re
import zlib
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

PERMUTATIONS = 128
SIMILAR = 0.7
"""The Jaccard similarity of their three-word runs from which two samples count as near."""
SPLITS = ("test", "validation", "train")
"""What is kept before what: a sample of a later split can be a copy of one in an earlier."""
UNIT = re.compile(
    "[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"
)


def first_copies(keys: np.ndarray) -> np.ndarray:
    """For each sample the index of the first one equal to it: its own if there is none before."""
    order = np.argsort(keys, kind="stable").astype(np.int32)
    begins = np.ones(len(keys), bool)
    begins[1:] = np.diff(keys[order]) != 0
    first = np.empty_like(order)
    first[order] = order[begins][np.cumsum(begins, dtype=np.int32) - 1]
    return first


def signature(texts: Sequence[str]) -> np.ndarray:
    """The MinHash of a sample's runs of three words (of three characters in Chinese or Japanese).

    `PERMUTATIONS` numbers, uint32; equal for equal words whatever their case and punctuation.
    """
    from datasketch import MinHash

    text = " ".join(texts).lower()
    hashes = np.array([zlib.crc32(word.encode()) for word in UNIT.findall(text) or [text]], "<u4")
    padded = np.concatenate((hashes, np.zeros(max(0, 3 - len(hashes)), "<u4")))
    a, b = np.uint32(0x9E3779B1), np.uint32(0x85EBCA77)
    runs = np.unique((padded[:-2] * a + padded[1:-1]) * b + padded[2:])
    sketch = MinHash(PERMUTATIONS, hashfunc=int, permutations=_permutations(), scheme="affine32")
    sketch.update_batch(runs.tolist())
    return sketch.hashvalues


def first_near(signatures: np.ndarray) -> np.ndarray:
    """For each sample the index of the first kept one that is nearly the same, or its own.

    Kept are the samples with none like them before them, so that a chain of small changes does
    not make one sample of all.
    """
    from datasketch import MinHash, MinHashLSH

    # Missing one is worse than looking at one too many: each is compared whole before it counts.
    index = MinHashLSH(threshold=SIMILAR, num_perm=PERMUTATIONS, weights=(0.1, 0.9))
    leaders = np.arange(len(signatures))
    for number, values in enumerate(signatures):
        sketch = MinHash(hashvalues=values, permutations=_permutations(), scheme="affine32")
        near = [
            other
            for other in index.query(sketch)
            if np.mean(signatures[other] == values) >= SIMILAR
        ]
        if near:
            leaders[number] = min(near)
        else:
            index.insert(number, sketch, check_duplication=False)
    return leaders


def report(leaders: np.ndarray, split: np.ndarray) -> dict[str, int]:
    """How many samples have one like them before them: within each split and between two.

    `split` is each sample's place in `SPLITS`; samples are ordered by it.
    """
    copies = np.flatnonzero(leaders != np.arange(len(leaders)))
    counted = np.zeros((len(SPLITS), len(SPLITS)), int)
    np.add.at(counted, (split[copies], split[leaders[copies]]), 1)
    return {
        f"{name}_in_{SPLITS[earlier]}" if earlier < later else name: int(counted[later, earlier])
        for later, name in enumerate(SPLITS)
        for earlier in range(later + 1)
    }


@cache
def _permutations() -> Any:
    from datasketch import MinHash

    return MinHash(PERMUTATIONS, seed=1).permutations
