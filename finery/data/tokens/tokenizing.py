"""The rows of one dataset as tokens, a chunk at a time: memory does not grow with the rows."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from finery.data.formats.dataset import Dataset
from finery.data.formats.examples import Example
from finery.data.prepared import IMAGES, schema, with_images
from finery.data.rendering.chat import Problem, Renderer
from finery.data.rendering.samples import IGNORED, Sample
from finery.data.rows.bad_rows import BadRow
from finery.data.rows.files import Row
from finery.data.tokens.arrow import booleans, integer_lists, string_lists, strings
from finery.data.tokens.duplicates import PERMUTATIONS, signature
from finery.data.tokens.scripts import scripts
from finery.data.tokens.splits import digest, keys

CHUNK = 1000
FACTS = np.dtype([
    ("key", "<u8"), ("piece", "<i4"), ("tokens", "<i4"), ("trained", "<i4"), ("cut", "?"),
])  # fmt: skip
"""What is known of a sample: what its row says, which piece of it this is, and its sizes."""
Pair = tuple[Example, Sample]


class Chunk(NamedTuple):
    """What became of some rows: samples, as an Arrow batch and as `FACTS`, or bad rows."""

    batch: Any
    facts: np.ndarray
    signatures: np.ndarray
    bad: list[BadRow]
    rows: int
    dropped: int
    scripts: Counter[str]
    digests: bytes
    unread: Counter[str]
    """In how many rows a column, or a key of messages, says something and is not read."""
    images: dict[str, str]
    """The files of the images, by what prepared data calls them."""


@dataclass(frozen=True, slots=True)
class Tokenizing:
    """Makes samples of a dataset's rows; of one that is `asked`, tests, which are never cut.

    With `near` it also takes the signatures that near-duplicates are found by.
    """

    dataset: Dataset
    renderer: Renderer
    asked: bool = False
    near: bool = False

    @property
    def kind(self) -> str:
        """The schema of the samples."""
        kind = self.dataset.kind
        kind = "tests" if self.asked else kind if kind in ("preference", "kto") else "samples"
        return with_images(kind) if self.renderer.sees else kind

    def chunks(self, most: int | None) -> Iterator[list[Row | BadRow]]:
        """The rows, or the first of them, some at a time."""
        rows = islice(self.dataset.rows(), most)
        while chunk := list(islice(rows, CHUNK)):
            yield chunk

    def begin(self, rows: Sequence[Row | BadRow]) -> Callable[[], Chunk]:
        """Begin with some rows; the result ends it. Others can be begun meanwhile."""
        convert = self.dataset.test if self.asked else self.dataset.example
        read = [row if isinstance(row, BadRow) else convert(row) for row in rows]
        encoded = self.renderer.begin([each for each in read if isinstance(each, Example)])

        def end() -> Chunk:
            samples = iter(encoded())
            bad, pairs = [], []
            for row, each in zip(rows, read, strict=True):
                if isinstance(each, BadRow):
                    bad.append(each)
                elif isinstance(sample := next(samples), Problem):
                    place = (str(row.file), row.number, sample.field)  # type: ignore[union-attr]
                    bad.append(BadRow(*place, sample.kind, sample.problem))
                else:
                    pairs.append((each, sample))
            return self._chunk(pairs, bad, len(rows))

        return end

    def _chunk(self, pairs: list[Pair], bad: list[BadRow], rows: int) -> Chunk:
        pieces = [
            (index, number, piece)
            for index, (_, sample) in enumerate(pairs)
            for number, piece in enumerate((sample, *sample.more))
        ]
        trained = _trained([piece.labels for *_, piece in pieces])
        pieces = [piece for piece, some in zip(pieces, trained.tolist(), strict=True) if some]
        digests = [digest(example) for example, _ in pairs]
        origin = np.array([index for index, *_ in pieces], int)
        facts = np.zeros(len(pieces), FACTS)
        facts["key"] = keys(digests)[origin]
        facts["piece"] = [number for _, number, _ in pieces]
        facts["tokens"] = [_length(piece) for *_, piece in pieces]
        facts["trained"] = trained[trained > 0]
        facts["cut"] = [piece.cut for *_, piece in pieces]
        said = [example.texts for example, _ in pairs]
        near = [signature(texts) for texts in said if self.near]
        return Chunk(
            self._batch([(pairs[index][0], piece) for index, _, piece in pieces]),
            facts,
            np.array(near, np.uint32).reshape(-1, PERMUTATIONS)[origin if near else []],
            bad,
            rows,
            len(pairs) - len(np.unique(origin)),
            Counter(scripts(said)),
            b"".join(digests),
            _unread(pairs),
            {image.name: image.file for example, _ in pairs for image in example.images},
        )

    def _batch(self, pairs: list[Pair]) -> Any:
        examples, samples = [example for example, _ in pairs], [sample for _, sample in pairs]
        columns: dict[str, Any] = {
            "dataset": strings([self.dataset.name] * len(pairs)),
            "input_ids": integer_lists([sample.input_ids for sample in samples]),
            "labels": integer_lists([sample.labels for sample in samples]),
        }
        if self.kind == "preference":
            other = [sample.rejected for sample in samples if sample.rejected]
            columns["rejected_input_ids"] = integer_lists([sample.input_ids for sample in other])
            columns["rejected_labels"] = integer_lists([sample.labels for sample in other])
        elif self.kind == "kto":
            columns["desirable"] = booleans([bool(sample.desirable) for sample in samples])
        elif self.asked:
            columns["question"] = strings([_question(example) for example in examples])
            columns["prompt_ids"] = integer_lists(self.renderer.prompts(examples))
            columns["reference"] = strings([example.reference for example in examples])
            columns["calls"] = booleans([bool(example.calls) for example in examples])
            columns["keywords"] = string_lists([example.keywords for example in examples])
        if self.renderer.sees:
            seen = zip(examples, samples, strict=True)
            names = [[image.name for image in e.images[: sample.images]] for e, sample in seen]
            columns[IMAGES] = string_lists(names)
        fields = schema(self.kind)
        return pa.RecordBatch.from_arrays([columns[name] for name in fields.names], schema=fields)


def _question(example: Example) -> str:
    return example.messages[-2].get("content") or ""


def _unread(pairs: list[Pair]) -> Counter[str]:
    unread = Counter(name for row, _ in pairs if row.unread for name in set(row.unread))
    unread.update(name for _, sample in pairs if sample.noted for name in set(sample.noted))
    return unread


def _trained(labels: Sequence[np.ndarray]) -> np.ndarray:
    """How many tokens of each sample the loss counts."""
    ends = np.cumsum([0, *map(len, labels)])
    counted = np.flatnonzero(np.concatenate([np.empty(0, np.int32), *labels]) != IGNORED)
    return np.diff(np.searchsorted(counted, ends))


def _length(sample: Sample) -> int:
    return len(sample.input_ids) + (len(sample.rejected.input_ids) if sample.rejected else 0)
