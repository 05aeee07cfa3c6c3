"""A dataset as tokens, kept in a folder of the cache for as long as nothing of it changes."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from finery.data.prepared import schema
from finery.data.rows.bad_rows import BadRow
from finery.data.tokens.duplicates import PERMUTATIONS
from finery.data.tokens.parallel import ordered
from finery.data.tokens.tokenizing import FACTS, Chunk, Tokenizing

SAMPLES, FACTS_FILE, SIGNATURES = "samples.arrow", "facts.bin", "signatures.bin"
REJECTED, SUMMARY, IMAGES = "rejected.jsonl", "summary.json", "images.json"


@dataclass(frozen=True)
class Tokenized:
    """The samples of one dataset, in Arrow batches on disk; what is small is read at once."""

    name: str
    folder: Path

    def facts(self) -> np.ndarray:
        """The `FACTS` of all samples, read each time: it is what grows with the rows."""
        return np.fromfile(self.folder / FACTS_FILE, FACTS)

    def signatures(self) -> np.ndarray:
        return np.fromfile(self.folder / SIGNATURES, np.uint32).reshape(-1, PERMUTATIONS)

    @cached_property
    def summary(self) -> dict[str, Any]:
        """Its `kind`, `rows`, `rejected`, `dropped`, `scripts`, `unread`, `batches`, a `sha256`."""
        return json.loads((self.folder / SUMMARY).read_text(encoding="utf-8"))

    @cached_property
    def images(self) -> dict[str, str]:
        """The files of its images, by what prepared data calls them."""
        file = self.folder / IMAGES
        return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}

    def bad_rows(self) -> Iterator[BadRow]:
        with (self.folder / REJECTED).open(encoding="utf-8") as lines:
            yield from (BadRow(**json.loads(line)) for line in lines)

    @contextmanager
    def batches(self) -> Iterator[Any]:
        """A reader of the samples: `get_batch(number)`. The file is not mapped into memory."""
        with pa.OSFile(str(self.folder / SAMPLES)) as file:
            yield pa.ipc.open_file(file)


def tokenized(folder: Path, work: Tokenizing, most: int | None, processes: int) -> Tokenized:
    """Tokenize a dataset, or its first `most` rows, into `folder`, which appears once it is whole.

    A folder that is there is taken as it is.
    """
    if not folder.exists():
        partial = folder.with_name(f".partial-{folder.name}")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _write(partial, work, ordered(work.begin, work.chunks(most), processes))
        partial.rename(folder)
    return Tokenized(work.dataset.name, folder)


def _write(folder: Path, work: Tokenizing, chunks: Iterator[Chunk]) -> None:
    summary: Counter[str] = Counter(rows=0, rejected=0, dropped=0)
    scripts: Counter[str] = Counter()
    unread: Counter[str] = Counter()
    batches, said, images = [], hashlib.sha256(), {}
    options = pa.ipc.IpcWriteOptions(compression="lz4")
    with (
        pa.OSFile(str(folder / SAMPLES), "wb") as file,
        pa.ipc.new_file(file, schema(work.kind), options=options) as writer,
        (folder / REJECTED).open("w", encoding="utf-8") as rejected,
        (folder / FACTS_FILE).open("wb") as facts,
        (folder / SIGNATURES).open("wb") as signatures,
    ):
        for chunk in chunks:
            writer.write_batch(chunk.batch)
            batches.append(len(chunk.facts))
            chunk.facts.tofile(facts)
            chunk.signatures.tofile(signatures)
            summary.update(rows=chunk.rows, rejected=len(chunk.bad), dropped=chunk.dropped)
            scripts.update(chunk.scripts)
            unread.update(chunk.unread)
            said.update(chunk.digests)
            images |= chunk.images
            for bad in chunk.bad:
                rejected.write(json.dumps(asdict(bad), ensure_ascii=False) + "\n")
    if images:
        (folder / IMAGES).write_text(json.dumps(images), encoding="utf-8")
    known = {
        **summary,
        "kind": work.kind,
        "scripts": dict(sorted(scripts.items(), key=lambda item: (-item[1], item[0]))),
        "unread": dict(sorted(unread.items())),
        "batches": batches,
        "sha256": said.hexdigest(),
    }
    (folder / SUMMARY).write_text(json.dumps(known), encoding="utf-8")
