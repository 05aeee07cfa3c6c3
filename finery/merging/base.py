"""Whether a model can be merged into, and whether it is the one that something was trained on."""

from pathlib import Path
from typing import Any

from finery import lineage
from finery.errors import UserError
from finery.models.packed import QUANTIZED, packed_method
from finery.models.settings import CONFIG

CARD = "README.md"


class BaseError(UserError):
    """Nothing can be merged into the model."""


def refuse_quantized(base: Path) -> None:
    """Raises `BaseError`, naming the model in full precision, if the weights are in a few bits."""
    if method := packed_method(base):
        raise BaseError(
            f"{base}: its weights are quantized ({method}), so that nothing can be added to them;"
            f" merge into {_full_precision(base)}"
        )


def _full_precision(base: Path) -> str:
    """What a quantized model was made from, as its place, its record or its card says."""
    if base.name == QUANTIZED and (base.parent / CONFIG).exists():
        return str(base.parent)
    records = lineage.read(base)
    if "quantize" in records:
        steps = list(lineage.of(records, "merge"))
        return f"models/{steps[-1] if steps else 'base'}"
    made_from = _card(base / CARD).get("base_model") or "the model that they were made from"
    return made_from if isinstance(made_from, str) else str(made_from[0])


def _card(file: Path) -> dict[str, Any]:
    """What stands at the top of a model card, in YAML; nothing if that is no mapping."""
    from ruamel.yaml import YAML, YAMLError

    text = file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
    _, marker, rest = text.partition("---\n")
    try:
        said = YAML(typ="safe").load(rest.partition("\n---")[0]) if marker else None
    except YAMLError:
        return {}
    return said if isinstance(said, dict) else {}


def another_start(start: dict[str, Any], trained: dict[str, Any]) -> str | None:
    """In what the model of one record is not that on which the other was trained; None if it is.

    By the steps whose models they are: a step that was run again has another record.
    """
    ours, theirs = (lineage.of(records, "merge") for records in (start, trained))
    if not lineage.of(trained, "train") or ours == theirs:
        return None
    if list(ours) != list(theirs):
        return f"trained on {_model_of(theirs)}, and not on {_model_of(ours)}"
    changed = next(step for step in ours if ours[step] != theirs[step])
    return f"trained on another model of step {changed}, which was made again since"


def _model_of(merged: dict[str, Any]) -> str:
    return f"the model of step {list(merged)[-1]}" if merged else "the base model"
