"""dataset_info.json, as LLaMA-Factory has it: where a dataset is and what its columns are called.

The format is that of LLaMA-Factory's data/README.md.
"""

import difflib
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from finery.data.datasets.entries import Columns, Entry, Tags
from finery.data.errors import DataError
from finery.data.rows.fields import shown
from finery.data.rows.json_rows import read_json

DATASET_INFO = "dataset_info.json"


def find(dataset_dir: Path, name: str) -> Entry:
    """The entry of a dataset; the others are not looked at.

    Raises `DataError` if it is missing or says what Finery cannot do.
    """
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
    try:
        return Entry.model_validate(info[name])
    except ValidationError as error:
        raise DataError(f"{info_file}: {_problem(name, error.errors()[0])}") from None


def _problem(name: str, error: Any) -> str:
    """What is wrong with an entry: the key, and what must be there."""
    key = ".".join([name, *map(str, error["loc"])])
    match error["type"]:
        case "extra_forbidden":
            models = {"columns": Columns, "tags": Tags}
            known = list(models.get(error["loc"][0], Entry).model_fields)
            return f"{key}: not known here{_nearest(error['loc'][-1], known)}"
        case "value_error":
            return f"{key}.{error['ctx']['error']}"
        case "model_type":
            return f"{key}: must be an object, not {shown(error['input'])}"
    message = error["msg"].removeprefix("Input ").replace("should", "must", 1)
    return f"{key}: {message}, not {shown(error['input'])}"


def _nearest(name: str, known: list[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}?" if near else f"; it has {', '.join(known) or 'none'}"
