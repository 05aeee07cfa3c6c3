"""The JSON files of a model folder."""

import json
from pathlib import Path
from typing import Any

from finery.errors import UserError

CONFIG = "config.json"
TOKENIZER = "tokenizer_config.json"
GGUF = "model.gguf"
"""The weights of a model in that format, beside the JSON files; it has no others."""


class ModelFileError(UserError):
    """A file of a model folder cannot be read."""


def read_settings(file: Path) -> dict[str, Any]:
    """A JSON object from a file of the model's, empty if there is no such file.

    Raises `ModelFileError` if it is something else.
    """
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except ValueError as error:
        raise ModelFileError(f"{file.name}: not JSON ({error}); fetch the model again") from None
    if not isinstance(value, dict):
        raise ModelFileError(f"{file.name}: not a JSON object; fetch the model again")
    return value
