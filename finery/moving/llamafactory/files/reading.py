"""Files of LLaMA-Factory's: YAML, JSON, those of its board, scripts, and a command."""

import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from finery.moving.llamafactory.files.board import from_board, is_of_board
from finery.moving.llamafactory.files.commands import Command, commands
from finery.moving.llamafactory.files.given import (
    FALSE,
    NOTHING,
    Given,
    MovingError,
    Source,
    arguments,
)
from finery.moving.llamafactory.files.later import from_v1, is_of_v1

OLD = {
    "evaluation_strategy": "eval_strategy",
    "dpo_beta": "pref_beta", "kto_beta": "pref_beta", "orpo_beta": "pref_beta",
    "dpo_loss": "pref_loss", "dpo_ftx": "pref_ftx", "kto_ftx": "pref_ftx",
    "name_module_trainable": "freeze_trainable_modules",
    "num_layer_trainable": "freeze_trainable_layers",
    "checkpoint_dir": "adapter_name_or_path",
    "per_gpu_train_batch_size": "per_device_train_batch_size",
    "per_gpu_eval_batch_size": "per_device_eval_batch_size",
    "sft_packing": "packing", "new_special_tokens": "add_special_tokens",
    "cache_path": "tokenized_path", "no_cuda": "use_cpu",
    "image_resolution": "image_max_pixels", "video_resolution": "video_max_pixels",
    "push_to_hub_model_id": "hub_model_id", "push_to_hub_token": "hub_token",
}  # fmt: skip
"""Names of earlier versions, of LLaMA-Factory or of transformers, and what they are called now."""
SIGNS = {
    "stage", "model_name_or_path", "finetuning_type", "template", "export_dir", "dataset",
    "adapter_name_or_path", "do_train", "do_predict", "lora_target", "task",
}  # fmt: skip
SHIPPED = ("model", "data", "train", "merge", "package")


def read(files: Sequence[str]) -> list[Source]:
    """What each file says, or the one command that the words are. Raises `MovingError`."""
    if not Path(files[0]).exists() and (found := commands(shlex.join(files))):
        return [source for command in found for source in _told(command, "command", Path())]
    return [source for file in files for source in _read(Path(file))]


def _read(path: Path) -> Iterator[Source]:
    text = _text(path)
    if path.suffix.lower() not in (".yaml", ".yml", ".json"):
        found = commands(text)
        if not found:
            raise MovingError(
                f"{path}: no LLaMA-Factory command in it (llamafactory-cli train ...)"
            )
        for command in found:
            yield from _told(command, path.name, path.parent)
        return
    values = _values(path, text)
    yield _source(path.name, _given(path.name, values, values), path.parent, values=values)


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise MovingError(f"{path}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except FileNotFoundError:
        raise MovingError(f"{path}: no such file; name a YAML of LLaMA-Factory's") from None
    except OSError as error:
        raise MovingError(f"{path}: {error.strerror}; name a YAML of LLaMA-Factory's") from None


def _values(path: Path, text: str) -> dict[str, Any]:
    try:
        values = YAML(typ="rt").load(text)
    except YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        said = getattr(error, "problem", None) or "cannot be read"
        raise MovingError(f"{path}{line}: not YAML: {said}") from None
    if not isinstance(values, dict) or not values:
        raise MovingError(f"{path}: not a file of LLaMA-Factory's: no mapping of arguments")
    if len(set(SHIPPED) & set(values)) > 3:
        raise MovingError(f"{path}: is a params.yaml already; `finery check {path}` looks at it")
    return values


def _given(name: str, values: Any, marked: Any) -> dict[str, Given]:
    if is_of_board(values):
        values = from_board(name, values)
    elif is_of_v1(values):
        values = from_v1(name, values)
    given = {}
    for key, value in values.items():
        line = getattr(marked, "lc", None) and marked.lc.data.get(key)
        where = f"{name}:{line[0] + 1}" if line else name
        given[str(key)] = value if isinstance(value, Given) else Given(str(key), value, where)
    return _renamed(given)


def _renamed(given: dict[str, Given]) -> dict[str, Given]:
    """By the names of today; one that is there under both keeps its own."""
    return {
        (new if (new := OLD.get(key, key)) not in given else key): Given(
            new if new not in given else key, each.value, each.where
        )
        for key, each in given.items()
    }


def _source(
    name: str, given: dict[str, Given], place: Path, task: str = "", values: Any = None
) -> Source:
    if not SIGNS & set(given):
        known = ", ".join(sorted(SIGNS)[:4])
        raise MovingError(f"{name}: not a file of LLaMA-Factory's: has none of {known}, ...")
    return Source(name, task or _task(given), given, place)


def _told(command: Command, name: str, place: Path) -> Iterator[Source]:
    """What a command says; its file is looked for from its own folder up."""
    given: dict[str, Given] = {}
    if command.file:
        path = _found(command.file, place)
        values = _values(path, _text(path))
        given, place = _given(path.name, values, values), path.parent
        name = path.name
        given |= _renamed({k: Given(k, v, "command") for k, v in command.overrides.items()})
    for key, values in command.words.items():
        kind = arguments()[key].kind if key in arguments() else "str"
        value: Any = values if len(values) > 1 else values[0] if values else True
        if key.startswith("no_") and key[3:] in arguments() and not values:
            key, value = key[3:], False
        if kind == "bool" and value is not True and str(value).lower() in FALSE:
            value = False
        given |= _renamed({key: Given(key, value, f"{name} --{key}" if place.name else f"--{key}")})
    task = "" if command.task == "train" else command.task
    task = {"api": "chat", "webchat": "chat"}.get(task, task)
    if command.task == "train" and _task(given) not in ("predict", "train"):
        task = "train"
    source = _source(name, given, place, task)
    source.environment, source.gpus = command.environment, command.gpus
    yield source


def _found(file: str, place: Path) -> Path:
    folders = [Path(), place, *place.resolve().parents]
    found = next((folder / file for folder in folders if (folder / file).is_file()), None)
    if found is None:
        raise MovingError(f"{file}: no such file; the command names it, so give it, too")
    return found


def _task(given: dict[str, Given]) -> str:
    """What a file is for; in LLaMA-Factory the command says it."""

    def on(key: str) -> bool:
        said = given[key].value if key in given else None
        return said not in NOTHING and str(said).lower() not in FALSE

    if on("export_dir"):
        return "export"
    if on("do_train"):
        return "train"
    if any(map(on, ("do_predict", "do_eval", "predict_with_generate"))):
        return "predict"
    if on("task"):
        return "eval"
    return "train" if on("dataset") and (on("stage") or on("output_dir")) else "chat"
