"""The writing system of a text: all that can be said for certain without guessing its language."""

import re
from collections.abc import Sequence
from functools import cache

import numpy as np

LOOKED_AT = 32
SCRIPTS = {
    "Latin": "AZ az ÀÖ Øö øɏ Ḁỿ",
    "Han": "\u3400\u4dbf \u4e00\u9fff \uf900\ufaff \U00020000\U0003ffff",
    "Kana": "\u3040\u30ff \u31f0\u31ff \uff66\uff9f",
    "Hangul": "\u1100\u11ff \u3130\u318f \uac00\ud7af",
    "Cyrillic": "\u0400\u052f",
    "Greek": "\u0370\u03ff \u1f00\u1fff",
    "Arabic": "\u0600\u06ff \u0750\u077f \u08a0\u08ff",
    "Hebrew": "\u0590\u05ff",
    "Devanagari": "\u0900\u097f",
    "Thai": "\u0e00\u0e7f",
}
"""The first and the last letter of each range."""
NAMES = (*SCRIPTS, "other", "none")
HAN, KANA = NAMES.index("Han"), NAMES.index("Kana")
OTHER = re.compile(r"[^\W\d_]")


def scripts(samples: Sequence[Sequence[str]]) -> list[str]:
    """The script that most letters at the beginning of each sample's texts are in.

    "none" without letters. Japanese counts as Kana if it has any: Chinese has none.
    """
    starts = [_start(texts) for texts in samples]
    letters = np.array(starts, f"<U{LOOKED_AT}").view(np.uint32).reshape(-1, LOOKED_AT)
    cells = _table()[letters] + np.arange(0, letters.shape[0] * len(NAMES), len(NAMES))[:, None]
    counts = np.bincount(cells.ravel(), minlength=len(starts) * len(NAMES))
    counts = counts.reshape(-1, len(NAMES))
    counts[:, KANA] += np.where(counts[:, KANA] > 0, counts[:, HAN], 0)
    counts[:, len(SCRIPTS) :] = 0
    most = counts.argmax(axis=1)
    known = counts.any(axis=1)
    return [
        NAMES[script] if sure else "other" if OTHER.search(start) else "none"
        for script, sure, start in zip(most.tolist(), known.tolist(), starts, strict=True)
    ]


def _start(texts: Sequence[str]) -> str:
    start = ""
    for text in texts:
        start += text[:LOOKED_AT] + " "
        if len(start) >= LOOKED_AT:
            break
    return start[:LOOKED_AT]


@cache
def _table() -> np.ndarray:
    """For each character the number of its script in `NAMES`."""
    table = np.full(0x110000, NAMES.index("none"), np.uint8)
    for number, ranges in enumerate(SCRIPTS.values()):
        for first, last in ranges.split():
            table[ord(first) : ord(last) + 1] = number
    return table
