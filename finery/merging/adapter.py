"""Whether what was trained is whole, safe to load and made for this base, asked before it is."""

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, ValidationError, field_validator

from finery import lineage
from finery.errors import UserError
from finery.merging.base import another_start
from finery.models.policy import policy_of

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
OWN, OWN_WEIGHTS = "trained.json", "trained*.safetensors"
"""What there is instead where the model's own weights were trained."""
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
Number = Annotated[float, Field(allow_inf_nan=False)]


class AdapterError(UserError):
    """The adapter is damaged, unsafe or another base model's."""


class Config(BaseModel):
    """What merging reads of adapter_config.json; PEFT knows the rest."""

    peft_type: Literal[
        "LORA", "ADALORA", "BOFT", "FOURIERFT", "HRA", "IA3", "LN_TUNING", "LOHA", "LOKR", "MISS",
        "OFT", "RANDLORA", "VERA",
    ]  # fmt: skip
    base_model_name_or_path: str | None = None
    r: Annotated[int, Field(ge=0, strict=True)] = 8
    lora_alpha: Number = 8
    lora_dropout: Annotated[Number, Field(ge=0, le=1)] = 0
    target_modules: str | list[str] | None = None
    rank_pattern: dict[str, Annotated[int, Field(ge=1, strict=True)]] | None = None
    alpha_pattern: dict[str, Number] | None = None
    init_lora_weights: bool | str = True
    layer_replication: Any = None

    @field_validator("init_lora_weights")
    @classmethod
    def _begins_anywhere(cls, value: bool | str) -> bool | str:
        if isinstance(value, str) and value not in ("gaussian", "orthogonal"):
            raise ValueError(
                f"{value} begins as a part of the model, which is computed anew where it is loaded,"
                " and not the same; convert it to plain LoRA"
            )
        return value

    @field_validator("layer_replication")
    @classmethod
    def _has_the_layers_of_the_model(cls, value: Any) -> None:
        if value is not None:
            raise ValueError("replicated layers share weights, and cannot be merged apart")


class OwnTuner(BaseModel, extra="allow"):
    """How the model's own weights were trained."""

    type: Literal["full", "freeze", "expansion"]
    blocks: Annotated[int, Field(ge=1, strict=True)] = 1


class OwnConfig(BaseModel):
    """What merging reads of trained.json."""

    tuner: OwnTuner
    base_model_name_or_path: str
    tensors: Annotated[dict[str, list[int]], Field(min_length=1)]
    """The shape of each weight, by its name."""


def are_own_weights(adapter: Path) -> bool:
    """Whether what a step left are weights of the model itself, and no adapter for PEFT."""
    return (adapter / OWN).exists()


def tuner_of(trained: Path) -> str:
    """How the model's own weights in a folder were trained."""
    return _config(trained / OWN, OwnConfig).tuner.type


def refuse_unfit_adapter(adapter: Path, start: Path, step: str) -> None:
    """Raises `AdapterError` if the adapter cannot or must not be loaded, or has another base.

    `start` is the model that the `step` of the training started from, which makes the adapter.
    """
    try:
        if reason := another_start(*(_json(each / lineage.LINEAGE) for each in (start, adapter))):
            raise AdapterError(f"{adapter}: {reason} ({start})")
        _refuse_unfit(adapter, policy_of(start))
    except AdapterError as error:
        raise AdapterError(f"{error}; run `dvc repro -f train@{step}`") from None


def _refuse_unfit(adapter: Path, base: Path) -> None:
    _refuse_pickled(adapter)
    if are_own_weights(adapter):
        config = _config(adapter / OWN, OwnConfig)
        _refuse_incomplete(adapter, config.tensors)
    else:
        config = _config(adapter / CONFIG, Config)
        _shapes(adapter / WEIGHTS)
    _refuse_other_base(adapter, base, config.base_model_name_or_path)


def _refuse_incomplete(adapter: Path, expected: dict[str, list[int]]) -> None:
    found: dict[str, list[int]] = {}
    for file in sorted(adapter.glob(OWN_WEIGHTS)):
        found |= _shapes(file)
    if wrong := sorted(n for n in {*found, *expected} if found.get(n) != expected.get(n)):
        raise AdapterError(
            f"{adapter}: {wrong[0]} is {found.get(wrong[0], 'missing')}, and {OWN} says"
            f" {expected.get(wrong[0], 'nothing of it')}"
        )


def _refuse_other_base(adapter: Path, base: Path, name: str | None) -> None:
    """By the hashes in the lineage of both, if they have one, and by the name in the adapter."""
    given, own = (_json(each / lineage.LINEAGE).get("download", {}) for each in (base, adapter))
    trained_on = own.get("weights")
    if trained_on and given.get("weights") not in (None, trained_on):
        source = own.get("source", "another base model")
        raise AdapterError(f"{adapter}: trained on other weights ({source}) than {base}")
    known = str(given.get("source", "unknown")).partition("@")[0]
    if name is not None and Path(name).resolve() != base.resolve() and name not in known:
        file = adapter / (OWN if are_own_weights(adapter) else CONFIG)
        raise AdapterError(
            f"{file}: base_model_name_or_path: {name} is another model than {base} ({known})"
        )


def _refuse_pickled(adapter: Path) -> None:
    for pattern in PICKLED:
        for file in sorted(adapter.glob(pattern)):
            raise AdapterError(
                f"{file}: pickled weights are refused, they can run code when they are loaded;"
                f" convert them to {WEIGHTS}, or train anew"
            )


def _config(file: Path, kind: type[BaseModel]) -> Any:
    if not file.exists():
        raise AdapterError(f"{file}: missing")
    try:
        return kind.model_validate(_json(file))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"]))
        raise AdapterError(f"{file}: {key}: {first['msg']}") from None


def _shapes(file: Path) -> dict[str, list[int]]:
    """The shape of each tensor in a file, by its name; of one at least."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as tensors:
            shapes = {n: tensors.get_slice(n).get_shape() for n in tensors.keys()}  # noqa: SIM118
    except FileNotFoundError:
        raise AdapterError(f"{file}: missing") from None
    except (SafetensorError, OSError) as error:
        raise AdapterError(f"{file}: truncated or damaged ({error})") from None
    if not shapes:
        raise AdapterError(f"{file}: holds no weights")
    return shapes


def _json(file: Path) -> dict[str, Any]:
    """A JSON object; an empty one if there is no such file."""
    try:
        value = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    except ValueError as error:
        raise AdapterError(f"{file}: not JSON ({error})") from None
    if not isinstance(value, dict):
        raise AdapterError(f"{file}: not a JSON object")
    return value
