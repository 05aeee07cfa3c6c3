"""Whether the answer is JSON that a JSON Schema allows."""

from pathlib import Path
from typing import Any

from finery.evaluation.metrics.json_valid import parsed
from finery.evaluation.sample import Sample
from finery.json_schemas import validator


def prepare(file: str, functions: Path) -> Any:
    """The validator of a schema in the folder of functions. Raises `SchemaFileError`."""
    return validator(functions / Path(file).relative_to(Path(file).parts[0]))


def score(sample: Sample, allowed: Any) -> dict[str, float | None]:
    value = parsed(sample.answer)
    return {"json_schema": float(value is not None and allowed.is_valid(value[0]))}
