"""The writing system of a text: all that can be said for certain without guessing its language."""

import re
from collections.abc import Sequence

LOOKED_AT = 32
SCRIPTS = {
    "Latin": "A-Za-zÀ-ÖØ-öø-ɏḀ-ỿ",
    "Han": "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff",
    "Kana": "\u3040-\u30ff\u31f0-\u31ff\uff66-\uff9f",
    "Hangul": "\u1100-\u11ff\u3130-\u318f\uac00-\ud7af",
    "Cyrillic": "\u0400-\u052f",
    "Greek": "\u0370-\u03ff\u1f00-\u1fff",
    "Arabic": "\u0600-\u06ff\u0750-\u077f\u08a0-\u08ff",
    "Hebrew": "\u0590-\u05ff",
    "Devanagari": "\u0900-\u097f",
    "Thai": "\u0e00-\u0e7f",
}
RUNS = re.compile("|".join(f"(?P<{name}>[{letters}]+)" for name, letters in SCRIPTS.items()))
OTHER = re.compile(r"[^\W\d_]")


def script(texts: Sequence[str]) -> str:
    """The script that most letters at the beginning of the texts are in; "none" without letters.

    Japanese counts as Kana if it has any: Chinese has none.
    """
    text = " ".join([text[:LOOKED_AT] for text in texts])[:LOOKED_AT]
    if text.isascii():
        return "Latin" if OTHER.search(text) else "none"
    counts: dict[str, int] = {}
    for run in RUNS.finditer(text):
        name = run.lastgroup or ""
        counts[name] = counts.get(name, 0) + run.end() - run.start()
    if "Kana" in counts:
        counts["Kana"] += counts.pop("Han", 0)
    if counts:
        return max(counts, key=lambda name: counts[name])
    return "other" if OTHER.search(text) else "none"
