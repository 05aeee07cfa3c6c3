"""Is a model folder whole and fit to use? Asked without loading a weight."""

import json
from pathlib import Path
from typing import Any

from finery.models.settings import TOKENIZER, read_settings
from finery.sources.errors import SourceError
from finery.sources.files import PICKLED, WEIGHTS, sha256

INDEX = "model.safetensors.index.json"
AGAIN = "remove the damaged copy at its source and fetch the model again"


def verify(base: Path, *, remote_code: bool = False) -> None:
    """Raise `SourceError` naming the file if the model in `base` is damaged or incomplete."""
    for pattern in PICKLED:
        for file in base.glob(pattern):
            raise SourceError(f"{file.name}: pickled weights are refused; convert to safetensors")
    if "model_type" not in _json(base, "config.json"):
        raise SourceError("config.json: no model_type; this is not a transformers model, get one")
    _weights(base)
    _tokenizer(base, remote_code)


def weight_hashes(base: Path) -> dict[str, str]:
    """The SHA-256 of each weight file, by name."""
    return {file.name: sha256(file) for file in sorted(base.glob(WEIGHTS))}


def _weights(base: Path) -> None:
    tensors = {file.name: _tensors(file) for file in sorted(base.glob(WEIGHTS))}
    if not (base / INDEX).exists():
        if "model.safetensors" not in tensors:
            raise SourceError(f"neither model.safetensors nor {INDEX} is there; {AGAIN}")
        return
    for tensor, file in _json(base, INDEX).get("weight_map", {}).items():
        if file not in tensors:
            raise SourceError(f"{file}: missing, though {INDEX} lists it; {AGAIN}")
        if tensor not in tensors[file]:
            raise SourceError(f"{file}: lacks {tensor}, though {INDEX} lists it; {AGAIN}")


def _tensors(file: Path) -> set[str]:
    """The names in a safetensors file; its own reader checks that they cover it exactly."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="numpy") as weights:
            return set(weights.keys())
    except SafetensorError as error:
        raise SourceError(f"{file.name}: truncated or damaged ({error}); {AGAIN}") from None


def _tokenizer(base: Path, remote_code: bool) -> None:
    """Load the tokenizer; the `tokenizers` library alone does it for all but the old formats.

    Only running a tokenizer's own code tells what it is.
    """
    own_code = remote_code and "auto_map" in read_settings(base / TOKENIZER)
    try:
        is_fast = True
        if (base / "tokenizer.json").exists() and not own_code:
            from tokenizers import Tokenizer

            Tokenizer.from_file(str(base / "tokenizer.json"))
        else:
            from transformers import AutoTokenizer

            is_fast = AutoTokenizer.from_pretrained(
                base, local_files_only=True, trust_remote_code=remote_code
            ).is_fast
    except Exception as error:  # tokenizers raises bare Exception, and remote code anything
        cause = next(iter(str(error).splitlines()), type(error).__name__)
        raise SourceError(f"the tokenizer does not load ({cause}); {AGAIN}") from None
    if not is_fast:
        raise SourceError(
            "tokenizer: it runs in Python and does not say where in the text its tokens are;"
            " choose a model with a fast tokenizer"
        )


def _json(base: Path, name: str) -> dict[str, Any]:
    try:
        value = json.loads((base / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SourceError(f"{name}: missing; {AGAIN}") from None
    except ValueError as error:
        raise SourceError(f"{name}: not JSON ({error}); {AGAIN}") from None
    if not isinstance(value, dict):
        raise SourceError(f"{name}: not a JSON object; {AGAIN}")
    return value
