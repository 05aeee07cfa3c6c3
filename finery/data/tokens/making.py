"""Datasets as tokens, all that a stage needs at once: from the cache, or made anew."""

from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

from finery.data.errors import DataError
from finery.data.formats.dataset import Dataset
from finery.data.formats.unread import said
from finery.data.rows.bad_rows import Tally
from finery.data.tokens.cache import contents, key, prune
from finery.data.tokens.parallel import processes
from finery.data.tokens.tokenized import Tokenized, tokenized
from finery.data.tokens.tokenizing import Tokenizing
from finery.params.data import SharedDataParams
from finery.to_json import to_json

TOKENIZER = {".json", ".jinja", ".model", ".txt", ".py"}
IMAGES_TAKE = 1000
"""How many times as long as its bytes' worth of words a row with images takes, or longer."""
SETTINGS = {
    *("chat_template_kwargs", "cutoff_len", "mask_history"),
    *("packing", "train_on_prompt", "variables"),
}


def make(
    params: SharedDataParams, base: Path, work: Sequence[Tokenizing], cache: Path
) -> list[Tokenized]:
    """The datasets of `work`, tokenized; says what of them was not read.

    `cache` keeps them for the next time, and nothing else: what is no longer asked for is removed.
    """
    made = [_made(params, base, each, cache) for each in work]
    prune(cache, [each.folder.name for each in made])
    for each in made:
        for line in said(each.name, each.summary["unread"]):
            print(line)
    return made


def report_bad_rows(made: Sequence[Tokenized], refused: bool, rejected: Path) -> None:
    """A JSON line for each row that cannot be used. Raises `DataError` if such are `refused`."""
    tally = Tally()
    with rejected.open("w", encoding="utf-8") as file:
        for bad in (bad for dataset in made for bad in dataset.bad_rows()):
            tally.add(bad)
            file.write(to_json(asdict(bad)) + "\n")
    if tally.total and refused:
        raise DataError("\n".join(tally.lines()))


def record(made: Sequence[Tokenized]) -> dict[str, Any]:
    """What the lineage says of datasets: the rows of each, and a hash of them."""
    facts = {each.name: each.summary for each in made}
    return {
        name: {key: summary[key] for key in ("rows", "sha256")} for name, summary in facts.items()
    }


def _made(params: SharedDataParams, base: Path, work: Tokenizing, cache: Path) -> Tokenized:
    dataset = work.dataset
    most = params.max_samples if dataset.entry.num_samples is None else None
    name = key(
        dataset=[dataset.name, dataset.entry.model_dump(), contents(dataset.files)],
        tokenizer=contents(file for file in sorted(base.iterdir()) if file.suffix in TOKENIZER),
        settings=params.model_dump(include=SETTINGS),
        keys=[params.key(name) for name in sorted(SETTINGS)],  # problems of rows name them
        rest=[most, work.asked, work.near, *_seen(dataset)],
    )
    images = dataset.seeing and bool(dataset.entry.columns.images)
    size = sum(file.stat().st_size for file in dataset.files)
    return tokenized(cache / name, work, most, processes(size * IMAGES_TAKE if images else size))


def _seen(dataset: Dataset) -> list[Any]:
    """Where rows may have images, all that is in the folder of the datasets, and who reads them."""
    if not dataset.seeing:
        return []
    if not dataset.entry.columns.images:
        return ["seeing"]
    files = sorted(file for file in dataset.info.parent.rglob("*") if file.is_file())
    return ["seeing", version("pillow"), contents(files)]
