"""Texts as tokens, many at once, each token with the place where it begins.

Byte-level BPE tokenizers, which most models have, go through fastokens: the same tokens several
times as fast. It gives no offsets and needs none: the bytes of such a tokenizer's tokens are the
text, so that the lengths of the tokens say where each begins. Whatever does not add up to the
text, and every other tokenizer, goes through Hugging Face's tokenizers.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import accumulate, chain
from threading import Thread
from typing import Any

import numpy as np

SEGMENTS = 1 << 16
"""Bytes to remember what repeats between special tokens by: a system prompt, not the rows."""
PROBE = (
    'I\'ll pay  $1,234.50 for 3 cafés\n\n\tand NAÏVE Straße—don’t! {"a": [1, null]} x_1 = 10**9;'
    "\r\n请用中文回答：第１２题的答案是“三百”。ひらがなとカタカナ。한국어 مرحبا Привет नमस्ते"
    " e\u0301 👩\u200d👧 \u3000\xa0\u200b end  "
)


Positions = Sequence[Sequence[int]]


@dataclass(slots=True)  # not frozen: made by the million, and twice as quickly
class Encoded:
    """The tokens of a text (int32), and the first that begins at each asked position, or after."""

    ids: np.ndarray
    at: list[int]


class Encoder:
    """A tokenizer for many texts at once; special tokens are those that the text itself has."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        settings = backend.to_str() if backend else "{}"
        self._lengths = _byte_lengths(json.loads(settings))
        self._fast = None if self._lengths is None else _fastokens(tokenizer, settings)

    def __call__(self, texts: Sequence[str], positions: Positions) -> list[Encoded]:
        """The tokens of each text, of which none may hold half a character.

        `positions` are places in each text, in characters and ascending.
        """
        return self.begin(texts, positions)()

    def begin(self, texts: Sequence[str], positions: Positions) -> Callable[[], list[Encoded]]:
        """Begin to find the tokens, beside Python where that can be; the result has them."""
        if self._fast is None or not texts:
            return lambda: self._with_offsets(texts, positions)
        beside = _Beside(partial(self._fast.encode_batch_flat, texts))
        return lambda: self._spelt(texts, positions, *beside.result())

    def _spelt(
        self, texts: Sequence[str], positions: Positions, flat: bytes, ends: bytes
    ) -> list[Encoded]:
        """The tokens, those of a text that they do not spell from the slower tokenizer."""
        ids = np.frombuffer(flat, np.uint32).astype(np.int32)
        bounds = np.frombuffer(ends, np.uint64).astype(np.int64)
        starts = np.concatenate(([0], np.cumsum(self._lengths[ids])))
        places = [_in_bytes(text, each) for text, each in zip(texts, positions, strict=True)]
        counts = list(map(len, places))
        asked = np.fromiter(chain.from_iterable(places), np.int64, sum(counts))
        upto = list(accumulate(counts, initial=0))
        sizes = asked[np.array(upto[1:], int) - 1]
        found = np.searchsorted(starts, asked + np.repeat(starts[bounds[:-1]], counts))
        at, cuts = (found - np.repeat(bounds[:-1], counts)).tolist(), bounds.tolist()
        encoded = [
            Encoded(ids[start:end], at[first : last - 1])
            for start, end, first, last in zip(
                cuts[:-1], cuts[1:], upto[:-1], upto[1:], strict=True
            )
        ]
        other = np.flatnonzero(np.diff(starts[bounds]) != sizes).tolist()
        again = self._with_offsets([texts[i] for i in other], [positions[i] for i in other])
        for index, each in zip(other, again, strict=True):
            encoded[index] = each
        return encoded

    def _with_offsets(self, texts: Sequence[str], positions: Positions) -> list[Encoded]:
        if not texts:
            return []
        encoded = self._tokenizer(
            list(texts), add_special_tokens=False, return_offsets_mapping=True
        )
        made = zip(encoded["input_ids"], encoded["offset_mapping"], positions, strict=True)
        return [
            Encoded(
                np.array(ids, np.int32),
                np.searchsorted([start for start, _ in offsets], each).tolist(),
            )
            for ids, offsets, each in made
        ]


class _Beside(Thread):
    """Work that needs no Python, in a thread of its own. None is left when a process forks."""

    def __init__(self, work: Callable[[], Any]) -> None:
        super().__init__(daemon=True)
        self._work = work
        self.start()

    def run(self) -> None:
        try:
            self._made, self._error = self._work(), None
        except BaseException as error:
            self._error = error

    def result(self) -> Any:
        self.join()
        if self._error:
            raise self._error
        return self._made


def _in_bytes(text: str, positions: Sequence[int]) -> list[int]:
    """Places in a text, and its end, in bytes."""
    places = [*positions, len(text)]
    if text.isascii():
        return places
    parts = zip([0, *positions], places, strict=True)
    return list(accumulate([len(text[start:end].encode()) for start, end in parts]))


def _byte_lengths(settings: dict[str, Any]) -> np.ndarray | None:
    """How many bytes of a text each token stands for; None if the tokenizer is not byte-level."""
    model = settings.get("model", {})
    if model.get("type") != "BPE" or not _byte_level(settings["pre_tokenizer"]):
        return None
    # A byte is a character in the byte-level alphabet, whichever byte it is.
    lengths = {number: len(token) for token, number in model["vocab"].items()}
    lengths |= {token["id"]: len(token["content"].encode()) for token in settings["added_tokens"]}
    table = np.zeros(max(lengths) + 1, np.int64)
    table[list(lengths)] = list(lengths.values())
    return table


def _byte_level(settings: dict[str, Any] | None) -> bool:
    if not settings:
        return False
    parts = settings.get("pretokenizers", [settings])
    return any(part["type"] == "ByteLevel" and not part["add_prefix_space"] for part in parts)


def _fastokens(tokenizer: Any, settings: str) -> Any:
    """fastokens' version of the tokenizer; None if it has none that gives the same tokens."""
    try:
        from fastokens import Tokenizer

        fast = Tokenizer.from_json_str(settings)
        texts = [PROBE, "".join([PROBE, *tokenizer.all_special_tokens, PROBE])]
        fast.enable_segment_cache(SEGMENTS)
        ids = [fast.encode(text).ids for text in texts]
    except (ImportError, ValueError, NotImplementedError):
        return None
    return fast if ids == tokenizer(texts, add_special_tokens=False)["input_ids"] else None
