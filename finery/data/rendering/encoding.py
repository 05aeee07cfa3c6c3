"""Texts as tokens, many at once, each token with the place where it begins.

Byte-level BPE tokenizers, which most models have, go through fastokens: the same tokens several
times as fast. It gives no offsets and needs none: the bytes of such a tokenizer's tokens are the
text, so that the lengths of the tokens say where each begins. Whatever does not add up to the
text, and every other tokenizer, goes through Hugging Face's tokenizers.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import chain, takewhile
from threading import Thread
from typing import Any, NamedTuple

import numpy as np

PROBE = (
    'I\'ll pay  $1,234.50 for 3 cafés\n\n\tand NAÏVE Straße—don’t! {"a": [1, null]} x_1 = 10**9;'
    "\r\n请用中文回答：第１２题的答案是“三百”。ひらがなとカタカナ。한국어 مرحبا Привет नमस्ते"
    " e\u0301 👩\u200d👧 \u3000\xa0\u200b end  "
)


class Text(NamedTuple):
    """A text, its size, and places in it that are asked for, ascending; both in bytes of UTF-8.

    `noted`: what is to be said of it, by names of `finery.data.formats.unread`.
    """

    text: str
    size: int
    places: list[int]
    noted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Encoded:
    """The tokens of some texts, those of one after those of another.

    - `ids`: all tokens (int32); those of text i are `ids[bounds[i] : bounds[i + 1]]`
    - `at`: for each place asked for, which token is the first that begins there or after it;
      those of text i are `at[at_bounds[i] : at_bounds[i + 1]]`
    """

    ids: np.ndarray
    bounds: np.ndarray
    at: np.ndarray
    at_bounds: np.ndarray

    def text(self, index: int) -> np.ndarray:
        """The tokens of one text."""
        return self.ids[self.bounds[index] : self.bounds[index + 1]]


class Encoder:
    """A tokenizer for many texts at once; special tokens are those that the text itself has."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        backend = getattr(tokenizer, "backend_tokenizer", None)
        settings = backend.to_str() if backend else "{}"
        parsed = json.loads(settings)
        self._lengths = _byte_lengths(parsed)
        self._fast = None if self._lengths is None else _fastokens(tokenizer, settings)
        self._seams = Seams(parsed["added_tokens"] if self._fast else [])

    def __call__(self, texts: Sequence[Text]) -> Encoded:
        """The tokens of each text, of which none may hold half a character."""
        return self.begin(texts)()

    def begin(self, texts: Sequence[Text]) -> Callable[[], Encoded]:
        """Begin to find the tokens, beside Python where that can be; the result has them."""
        if self._fast is None or not texts:
            return lambda: self._with_offsets(texts)
        # What all begin with, a system prompt, is tokenized once.
        said = [each.text for each in texts]
        head = said[0][: self._seams.last(_beginning(said))]
        rest = [each[len(head) :] for each in said] if head else said
        beside = _Beside(partial(self._fast.encode_batch_flat, rest))
        return lambda: self._spelt(texts, head, *beside.result())

    def _spelt(self, texts: Sequence[Text], head: str, flat: bytes, ends: bytes) -> Encoded:
        """The tokens, those of a text that they do not spell from the slower tokenizer."""
        ids, bounds = np.frombuffer(flat, np.int32), np.frombuffer(ends, np.int64)
        if head:
            ids, bounds = _headed(np.array(self._fast.encode(head).ids, np.int32), ids, bounds)
        starts = _sums(self._lengths[ids])
        begin = starts[bounds]
        counts = [len(each.places) for each in texts]
        asked = np.fromiter(chain.from_iterable([each.places for each in texts]), np.int64)
        at = np.searchsorted(starts, asked + np.repeat(begin[:-1], counts))
        encoded = Encoded(ids, bounds, at, _sums(counts))
        sizes = np.array([each.size for each in texts])
        other = np.flatnonzero(np.diff(begin) != sizes).tolist()
        return self._corrected(encoded, texts, other) if other else encoded

    def _corrected(self, encoded: Encoded, texts: Sequence[Text], wrong: list[int]) -> Encoded:
        ids = np.split(encoded.ids, encoded.bounds[1:-1])
        own = encoded.at - np.repeat(encoded.bounds[:-1], np.diff(encoded.at_bounds))
        at = np.split(own, encoded.at_bounds[1:-1])
        for index, (right, places) in zip(
            wrong, self._one_by_one([texts[index] for index in wrong]), strict=True
        ):
            ids[index], at[index] = right, places
        return joined(ids, at)

    def _with_offsets(self, texts: Sequence[Text]) -> Encoded:
        pairs = self._one_by_one(texts)
        return joined([ids for ids, _ in pairs], [at for _, at in pairs])

    def _one_by_one(self, texts: Sequence[Text]) -> list[tuple[np.ndarray, np.ndarray]]:
        """The tokens of each text, and those of its own tokens that begin at the places."""
        if not texts:
            return []
        encoded = self._tokenizer(
            [each.text for each in texts], add_special_tokens=False, return_offsets_mapping=True
        )
        made = zip(encoded["input_ids"], encoded["offset_mapping"], texts, strict=True)
        return [
            (
                np.array(ids, np.int32),
                np.searchsorted([start for start, _ in offsets], _in_characters(each)),
            )
            for ids, offsets, each in made
        ]


class Seams:
    """Places where a text can be cut with the tokens of both parts staying what they were.

    Tokenizers look for added tokens first, and at what is between them by itself. So one can cut
    behind an added token, if no other may be found in its place because of what comes after.
    """

    def __init__(self, added: Sequence[dict[str, Any]]) -> None:
        self._added = {token["content"]: token for token in added}
        longest_first = sorted(filter(None, self._added), key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def last(self, text: str) -> int:
        """The last such place in a text, wherever that may go on; 0 if there is none."""
        found = [match for match in self._pattern.finditer(text) if self._divides(match[0])]
        return found[-1].end() if found else 0

    def _divides(self, content: str) -> bool:
        token = self._added[content]
        if token["rstrip"] or token["single_word"]:
            return False
        beginnings = tuple(content[:end] for end in range(1, len(content)))
        return not any(
            other.endswith(beginnings) or (content in other and content != other)
            for other in self._added
        )


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


def _beginning(texts: Sequence[str]) -> str:
    """What all the texts begin with; nothing if there is only one."""
    first, last = min(texts), max(texts)
    same = takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    return first[: sum(1 for _ in same)] if len(texts) > 1 else ""


def byte_size(text: str) -> int:
    """The size of a text in UTF-8."""
    return len(text) if text.isascii() else len(text.encode())


def marked(text: str, positions: Sequence[int]) -> Text:
    """A text with places that are known in characters."""
    places = [byte_size(text[:position]) for position in positions]
    return Text(text, byte_size(text), places)


def _in_characters(text: Text) -> list[int]:
    if len(text.text) == text.size:
        return text.places
    encoded = text.text.encode()
    return [len(encoded[:place].decode()) for place in text.places]


def _sums(counts: Any) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(counts, dtype=np.int64)))


def joined(ids: list[np.ndarray], at: list[np.ndarray]) -> Encoded:
    """Texts by themselves as one; `at` are tokens of each by itself."""
    bounds, at_bounds = _sums(list(map(len, ids))), _sums(list(map(len, at)))
    flat = np.concatenate([np.empty(0, np.int64), *at]) + np.repeat(bounds[:-1], np.diff(at_bounds))
    return Encoded(np.concatenate([np.empty(0, np.int32), *ids]), bounds, flat, at_bounds)


def _headed(head: np.ndarray, ids: np.ndarray, bounds: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Texts that begin with the same tokens: those, then what is each one's own."""
    count, sizes = len(bounds) - 1, np.diff(bounds)
    shifted = np.arange(count + 1) * len(head) + bounds
    whole = np.empty(len(ids) + count * len(head), np.int32)
    whole[shifted[:-1, None] + np.arange(len(head))] = head
    whole[np.arange(len(ids)) + np.repeat(np.arange(1, count + 1) * len(head), sizes)] = ids
    return whole, shifted


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
        ids = [fast.encode(text).ids for text in texts]
    except (ImportError, ValueError, NotImplementedError):
        return None
    return fast if ids == tokenizer(texts, add_special_tokens=False)["input_ids"] else None
