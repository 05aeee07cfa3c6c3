"""A model in GPTQ or AWQ beside the same in full precision: trained on, never merged into."""

from pathlib import Path
from typing import Any

from finery.errors import UserError
from finery.models.load import load_model
from finery.models.settings import CONFIG, read_settings
from finery.models.tensors import tensors

QUANTIZED = "quantized"
NEAR = 2**-6
"""How far the embeddings, which these formats leave as they are, may be: two roundings to half."""


class PackedError(UserError):
    """The quantized model is not the one in full precision beside it."""


def load_packed(start: Path, dtype: str, **settings: Any) -> Any:
    """The model in the folder `quantized` of `start`, its layers in their 4 bits.

    Its layers pass gradients on, whatever is called first: on a CPU those of GPTQModel would turn
    into others that do not, for good, where the first call is in evaluation mode. Raises
    `PackedError` if it was made of another model than `start`.
    """
    folder = start / QUANTIZED
    if not folder.is_dir():
        raise PackedError(f"{folder}: missing; run `dvc repro -f download`")
    refuse_another(folder, start)
    model = load_model(folder, dtype, **settings)
    for part in model.modules():
        if hasattr(part, "linear_mode"):
            part.linear_mode = "train"
    return model


def is_packed(words: str | None) -> bool:
    """Whether a step that was trained on that, in the words of its record, was on such a model."""
    return words is not None and words.startswith(("GPTQ", "AWQ"))


def packed_method(folder: Path) -> str | None:
    """How the weights in a folder are quantized, as its config.json says; None if they are not."""
    said = read_settings(folder / CONFIG).get("quantization_config") or {}
    return said.get("quant_method")


def refuse_another(folder: Path, start: Path) -> None:
    """Raises `PackedError` if the embeddings of two models are not the same within rounding."""
    for name in sorted({*_tables(folder)} & {*_tables(start)}):
        ours, theirs = _tensor(folder, name).float(), _tensor(start, name).float()
        if ours.shape != theirs.shape or not (ours - theirs).norm() <= NEAR * theirs.norm():
            raise PackedError(
                f"{folder}: {name} is not that of {start}, so it was made of another model; set"
                " model.source to the one that model.quantized was made of"
            )


def _tables(folder: Path) -> list[str]:
    return [
        name for name in tensors(folder) if name.endswith(("embed_tokens.weight", "wte.weight"))
    ]


def _tensor(folder: Path, name: str) -> Any:
    from safetensors import safe_open

    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, framework="pt") as found:
            if name in found.keys():  # noqa: SIM118 (no mapping)
                return found.get_tensor(name)
    raise KeyError(name)
