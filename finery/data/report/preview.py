"""Samples as the model will see them, with the tokens that the loss counts set apart."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from finery.data.errors import DataError
from finery.data.formats.dataset import open_dataset
from finery.data.formats.unread import THOUGHTS
from finery.data.rendering.chat import Problem, Renderer
from finery.data.rendering.samples import IGNORED, Sample
from finery.data.rows.bad_rows import BadRow
from finery.models.pictures import Pictures
from finery.models.seeing import sees
from finery.models.tokenizer import load_tokenizer
from finery.params.data import SharedDataParams

Part = tuple[str, bool]
"""Some text, and whether it is trained on."""
ESCAPE = "\x1b"
BEGINNING = 1000


def previews(
    params: SharedDataParams, base: Path, name: str, count: int, row: int | None
) -> Iterator[tuple[str, list[Part]]]:
    """A title and the parts of each of the first `count` rows of a dataset, or of one `row`.

    Raises `DataError` if there is no tokenizer in `base`, or no such dataset or row.
    """
    if not (base / "tokenizer_config.json").is_file():
        raise DataError(f"{base}: no base model here yet; `dvc repro download` makes it")
    dataset = open_dataset(Path(params.dataset_dir), name, params.variables, sees(base))
    tokenizer = load_tokenizer(base)
    renderer = Renderer.by(params, tokenizer, Pictures.of(base))
    found = False
    for each in islice(dataset, row and row - 1, row or count):
        found = True
        if isinstance(each, BadRow):
            yield f"{name}, row {each.row}: cannot be used: {each.field}: {each.problem}", []
            continue
        (result,) = renderer.encode([each])
        passed = f" (not read: {', '.join(each.unread)})" if each.unread else ""
        title, cutoff = f"{name}, row {each.row}{passed}", params.key("cutoff_len")
        yield from _shown(tokenizer, title, result, cutoff)
    if row and not found:
        raise DataError(f"{name}: has no row {row}")


def first(tokenizer: Any, file: Path) -> str:
    """The beginning of the first sample of a prepared file, in «» what is trained on."""
    import pyarrow.parquet as pq

    rows = next(pq.ParquetFile(file).iter_batches(1, columns=["input_ids", "labels"]))
    ids, labels = (np.array(column[0].as_py()) for column in rows.columns)
    return "".join(marked(*part) for part in parts(tokenizer, Sample(ids, labels)))[:BEGINNING]


def marked(text: str, trained: bool) -> str:
    """A part of a sample where there are no colours."""
    return f"«{text}»" if trained else text


def parts(tokenizer: Any, sample: Sample) -> list[Part]:
    """The text of a sample, in pieces that are trained on or not."""
    counted = sample.labels != IGNORED
    edges = np.flatnonzero(np.diff(counted)) + 1
    bounds = [0, *edges.tolist(), len(counted)]
    texts = [_decoded(tokenizer, sample.input_ids[:end]) for end in bounds]
    return [
        (text[len(before) :].replace(ESCAPE, "␛"), bool(counted[start]))
        for before, text, start in zip(texts[:-1], texts[1:], bounds[:-1], strict=True)
        if len(counted)
    ]


def _shown(
    tokenizer: Any, title: str, result: Sample | Problem, cutoff: str
) -> Iterator[tuple[str, list[Part]]]:
    if isinstance(result, Problem):
        yield f"{title}: cannot be used: {result.problem}", []
        return
    samples = {"": result}
    if result.rejected is not None:
        samples = {", chosen": result, ", rejected": result.rejected}
    elif result.desirable is not None:
        samples = {", desirable" if result.desirable else ", not desirable": result}
    elif result.more:
        pieces = enumerate((result, *result.more), 1)
        samples = {f", piece {number}": piece for number, piece in pieces}
    for which, sample in samples.items():
        yield f"{title}{which}: {_counts(sample, cutoff)}", parts(tokenizer, sample)


def _counts(sample: Sample, cutoff: str) -> str:
    """`cutoff` is the key of the setting that it may have been cut by."""
    if not sample.trained_tokens:
        return f"left out: {cutoff} leaves no answer to train on"
    cut = f"; cut to {cutoff}" if sample.cut else ""
    lost = "; without the thinking of earlier turns" if THOUGHTS in sample.noted else ""
    return f"{len(sample.input_ids)} tokens, {sample.trained_tokens} of them trained on{cut}{lost}"


def _decoded(tokenizer: Any, ids: np.ndarray) -> str:
    return tokenizer.decode(ids.tolist(), clean_up_tokenization_spaces=False)
