"""What a name such as merged, gptq or a folder stands for: the files of a model."""

import difflib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from finery import lineage
from finery.errors import UserError
from finery.models.chat_template import ChatTemplateError, chat_template
from finery.models.policy import POLICY
from finery.models.scoring import is_scorer
from finery.models.settings import GGUF, TOKENIZER, read_settings
from finery.params.quantize import Format

MODELS, PACKAGES, ADAPTERS = Path("models"), Path("models/packages"), Path("models/adapters")
ADAPTER_CONFIG, ADAPTER_WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
TOKENIZERS = ("tokenizer.json", TOKENIZER)
OWN_WEIGHTS = "trained.json"
PARAMS = Path("params.yaml")


class VariantError(UserError):
    """There is no such model here, or it cannot be talked to."""


@dataclass(frozen=True)
class Variant:
    """A model to talk to: its folder, perhaps with an adapter that goes on top."""

    name: str
    folder: Path
    adapter: Path | None = None

    @property
    def wording(self) -> Path:
        """The folder of its tokenizer and chat template: the adapter's own, if that has both."""
        if self.adapter and all((self.adapter / name).is_file() for name in TOKENIZERS):
            with suppress(ChatTemplateError):
                chat_template(self.adapter)
                return self.adapter
        return self.folder

    @property
    def where(self) -> str:
        return f"{self.folder} + {self.adapter}" if self.adapter else str(self.folder)


def variant(name: str, fetched: Callable[[str], Path], base: Path | None = None) -> Variant:
    """The model that a name stands for, in the project of this folder or anywhere.

    `base`, a step of the training, `merged`, `gptq`, `awq`, a released NAME@STAGE or NAME@VERSION,
    which `fetched` gets, or a folder: of a model, a package or an adapter. `base` is the folder of
    the model that an adapter goes on, if it does not say so itself. Raises `VariantError`.
    """
    makers = _makers()
    if name in makers:
        found = _of_project(name, makers, base)
    elif Path(name).is_dir():
        folder = Path(name)
        found = _on_start(name, folder, base) if _is_adapter(folder) else Variant(name, folder)
    elif "@" in name:
        found = Variant(name, fetched(name))
    else:
        raise _unknown(name, makers)
    if base and not found.adapter:
        raise VariantError(f"--base {base}: {found.folder} is a whole model; leave that out")
    _refuse_no_model(found)
    return found


def _makers() -> dict[str, tuple[list[Path], str]]:
    """For each name of the project, where its model may be, and the stage that makes it."""
    settings = _settings()
    if not (settings or MODELS.is_dir()):
        return {}
    steps = [name for name in settings.get("train") or {} if isinstance(name, str)]
    made = [folder.name for folder in sorted(ADAPTERS.glob("*")) if folder.is_dir()]
    last = (settings.get("merge") or {}).get("step") or (steps or made or ["?"])[-1]
    starts = {name: ([MODELS / name], f"start@{name}") for name in settings.get("starts") or {}}
    trained = {name: ([MODELS / name], f"merge@{name}") for name in dict.fromkeys([*steps, *made])}
    packed = {
        name: ([MODELS / name, PACKAGES / name], f"quantize@{name}") for name in get_args(Format)
    }
    merged = {"merged": ([MODELS / last, PACKAGES / "merged"], f"merge@{last}")}
    return {"base": ([MODELS / "base"], "download")} | starts | trained | merged | packed


def _settings() -> dict[str, Any]:
    """What params.yaml says, valid or not: a model is talked to as it is. Empty without one."""
    from ruamel.yaml import YAML, YAMLError

    try:
        found = YAML(typ="safe").load(PARAMS.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, YAMLError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: value for key, value in found.items() if isinstance(value, dict)}


def _of_project(name: str, makers: dict[str, tuple[list[Path], str]], base: Path | None) -> Variant:
    places, stage = makers[name]
    for folder in places:
        if folder.is_dir():
            return Variant(name, folder)
    if _is_adapter(ADAPTERS / name):
        return _on_start(name, ADAPTERS / name, base)
    raise VariantError(
        f"{name}: {places[0]} is not there; run `dvc repro {stage}`, or `dvc pull {places[0]}`"
    )


def _is_adapter(folder: Path) -> bool:
    return (folder / ADAPTER_CONFIG).is_file() or (folder / OWN_WEIGHTS).is_file()


def _on_start(name: str, adapter: Path, base: Path | None) -> Variant:
    if (adapter / OWN_WEIGHTS).is_file():
        raise VariantError(
            f"{adapter}: weights of the model itself, which are put in by merging; run"
            f" `dvc repro merge@{adapter.name}`"
        )
    if is_scorer(adapter):
        raise _scores(adapter)
    if not (adapter / ADAPTER_WEIGHTS).is_file():
        raise VariantError(
            f"{adapter / ADAPTER_WEIGHTS}: missing; pickled weights are refused, convert them"
        )
    return Variant(name, base or _start(adapter), adapter)


def _start(adapter: Path) -> Path:
    """The folder of the model that an adapter was trained on."""
    start = read_settings(adapter / ADAPTER_CONFIG).get("base_model_name_or_path") or ""
    source = lineage.read(MODELS / "base").get("download", {}).get("source", "")
    if start and start == source.partition(":")[2].partition("@")[0]:
        return MODELS / "base"
    folder = Path(start) / POLICY if (Path(start) / POLICY).is_dir() else Path(start)
    if not start or not folder.is_dir():
        raise VariantError(
            f"{adapter / ADAPTER_CONFIG}: base_model_name_or_path: {start or 'missing'} is no"
            " folder here; name that model's by --base FOLDER"
        )
    return folder


def _refuse_no_model(found: Variant) -> None:
    folder = found.folder
    if not (folder / "config.json").is_file():
        raise VariantError(f"{folder}: no model, it has no config.json; name its folder")
    if is_scorer(folder):
        raise _scores(folder)
    if not any(folder.glob("*.safetensors")) and not (folder / GGUF).is_file():
        raise VariantError(
            f"{folder}: no weights in safetensors, and pickled ones are refused; convert them"
        )
    try:
        chat_template(found.wording)
    except ChatTemplateError as error:
        said = str(error).partition(";")[0]
        raise VariantError(
            f"{folder}: {said}; put one there as chat_template.jinja, or for a project set"
            " model.chat_template"
        ) from None


def _scores(folder: Path) -> VariantError:
    other = f"; talk to {folder / POLICY}, which it judges" if (folder / POLICY).is_dir() else ""
    return VariantError(f"{folder}: a reward model, which scores texts and writes none{other}")


def _unknown(name: str, makers: dict[str, Any]) -> VariantError:
    near = difflib.get_close_matches(name, makers, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]}? there are" if near else "there are"
    known = "".join(f"{each}, " for each in makers)
    return VariantError(
        f"{name}: no such model; {hint} {known}NAME@STAGE of a release, or the folder of a model"
    )
