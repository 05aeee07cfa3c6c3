"""dataset_info.json: which file a dataset is in and what its columns are called.

The format is LLaMA-Factory's (its data/README.md); the alpaca layout of it is read here.
"""

import difflib
import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from finery.data.errors import DataError
from finery.data.rows import read_json

DATASET_INFO = "dataset_info.json"


class Columns(BaseModel):
    """The names of a dataset's columns, with LLaMA-Factory's defaults."""

    model_config = ConfigDict(extra="forbid")
    prompt: str = "instruction"
    query: str = "input"
    response: str = "output"
    system: str | None = None
    history: str | None = None
    keywords: str = "keywords"
    """Words that a right answer contains; only test datasets have them."""


class Entry(BaseModel):
    """One dataset of dataset_info.json."""

    model_config = ConfigDict(extra="forbid")
    file_name: str
    formatting: str = "alpaca"
    columns: Columns = Columns()


def find(dataset_dir: Path, name: str) -> Entry:
    """The entry of a dataset. Raises `DataError` if it is missing or says what Finery cannot do."""
    info_file = dataset_dir / DATASET_INFO
    if not dataset_dir.is_dir():
        raise DataError(f"{dataset_dir}: no such folder; set data.dataset_dir in params.yaml")
    if not info_file.is_file():
        raise DataError(f"{info_file}: missing; it names the datasets of the folder")
    info = read_json(info_file)
    if not isinstance(info, dict):
        raise DataError(f"{info_file}: must be an object with one entry a dataset")
    if name not in info:
        raise DataError(f"{info_file}: no dataset {name!r}{_nearest(name, list(info))}")
    return _validated(info_file, name, info[name])


def _validated(info_file: Path, name: str, values: object) -> Entry:
    try:
        entry = Entry.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join([name, *map(str, first["loc"])])
        if first["type"] == "extra_forbidden":
            raise DataError(f"{info_file}: {key}: not known here; remove it") from None
        message = first["msg"].lower().replace("input should", "must")
        if first["type"] == "model_type":
            message = f"must be an object, not {json.dumps(first['input']):.60}"
        raise DataError(f"{info_file}: {key}: {message}") from None
    if entry.formatting != "alpaca":
        raise DataError(
            f"{info_file}: {name}.formatting: {entry.formatting!r} cannot be read; use alpaca"
        )
    return entry


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(known) or 'none'}"
