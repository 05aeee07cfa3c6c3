"""The tokens and labels that two make of the same rows: which are equal, and how others differ."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby

IGNORED = -100
SHOWN = 40
NEAR = 4
"""Tokens before a difference that are shown."""
MOST = 3
"""Differences of a row that are told."""
Tokens = tuple[list[int], list[int]]
"""Tokens, and labels: the token where the loss counts, else -100."""
EQUAL = "the same tokens and labels"
Text = Callable[[list[int]], str]


@dataclass(frozen=True)
class Difference:
    """What two make of some rows, in words; `rows` are the numbers of them, from 1."""

    said: str
    rows: tuple[int, ...]


def differences(
    ours: Sequence[tuple[int, list[Tokens]]], theirs: Sequence[list[Tokens]], text: Text
) -> list[Difference]:
    """Of each row, by what is said of it, the commonest first.

    `ours` are with the numbers of the rows. LLaMA-Factory does not say which rows it leaves out:
    if it has fewer, equal ones are found, and the others are told from what stands between them.
    """
    said: dict[str, list[int]] = {}
    for (row, mine), other in _aligned(ours, theirs):
        said.setdefault(_difference(mine, other, text), []).append(row)
    found = [Difference(words, tuple(rows)) for words, rows in said.items()]
    return sorted(found, key=lambda each: -len(each.rows))


def _aligned(
    ours: Sequence[tuple[int, list[Tokens]]], theirs: Sequence[list[Tokens]]
) -> list[tuple[tuple[int, list[Tokens]], list[Tokens] | None]]:
    if len(ours) == len(theirs):
        return list(zip(ours, theirs, strict=True))
    a = [_key(samples) for _, samples in ours]
    b = [_key(samples) for samples in theirs]
    pairs: list[tuple[tuple[int, list[Tokens]], list[Tokens] | None]] = []
    for _, i, j, k, m in SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        others = [*theirs[k:m], *([None] * (j - i))]
        pairs += zip(ours[i:j], others, strict=False)
    return pairs


def _key(samples: list[Tokens]) -> tuple[tuple[int, ...], ...]:
    return tuple(tuple(ids) for ids, _ in samples)


def _difference(mine: list[Tokens], other: list[Tokens] | None, text: Text) -> str:
    if other is None:
        return "LLaMA-Factory leaves the row out"
    if len(mine) != len(other):
        return f"{len(mine)} samples, LLaMA-Factory {len(other)}"
    words = [_of_one(a, b, text) for a, b in zip(mine, other, strict=True)]
    return next((said for said in words if said != EQUAL), EQUAL)


def _of_one(mine: Tokens, other: Tokens, text: Text) -> str:
    (ids, labels), (other_ids, other_labels) = mine, other
    if ids != other_ids and text(ids) == text(other_ids):
        return "the same text in other tokens: LLaMA-Factory tokenizes each turn by itself"
    pieces, flags = [], []
    for kind, i, j, k, m in SequenceMatcher(None, ids, other_ids, autojunk=False).get_opcodes():
        if kind == "equal":
            pairs = zip(labels[i:j], other_labels[k:m], strict=True)
            flags += [(a != IGNORED, b != IGNORED) for a, b in pairs]
            continue
        flags += [(False, False)] * (j - i)
        behind = _shown(text(ids[max(0, i - NEAR) : i]), last=True)
        here, there = _shown(text(ids[i:j])), _shown(text(other_ids[k:m]))
        pieces.append(f"behind {behind} {here} here, {there} in LLaMA-Factory")
    flags[:1] = [(False, False)]  # nothing comes before the first token to predict it from
    for who, only in (("LLaMA-Factory", (False, True)), ("Finery", (True, False))):
        places = _runs([flag == only for flag in flags])
        learnt = dict.fromkeys(_shown(text(ids[start:end])) for start, end in places)
        pieces += [f"{who} also trains on {each}" for each in learnt]
    more = f"; and {len(pieces) - MOST} more" if len(pieces) > MOST else ""
    return "; ".join(pieces[:MOST]) + more or EQUAL


def _runs(flags: list[bool]) -> list[tuple[int, int]]:
    """From where to where they are set."""
    found, at = [], 0
    for flag, group in groupby(flags):
        length = len(list(group))
        if flag:
            found.append((at, at + length))
        at += length
    return found


def _shown(text: str, last: bool = False) -> str:
    if len(text) > SHOWN:
        text = "..." + text[-SHOWN:] if last else text[:SHOWN] + "..."
    return repr(text) if text else "nothing"
