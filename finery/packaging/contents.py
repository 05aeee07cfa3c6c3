"""Which files of a model folder make up a package, and how they get there."""

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finery.models.legal import legal_files
from finery.models.settings import GGUF
from finery.packaging.errors import PackageError

WEIGHTS = "*.safetensors"
INDEX = "model.safetensors.index.json"
TEXTS = (
    INDEX,
    "config.json",
    "quantize_config.json",
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.json",
    "vocab.txt",
    "merges.txt",
    "*.model",
    "*.tiktoken",
    "preprocessor_config.json",  # what images are made into, of a model that reads them
    "processor_config.json",
    "video_preprocessor_config.json",
    "chat_template.jinja",
    "additional_chat_templates/*.jinja",
    "*.py",  # only there when params.yaml trusts remote code
)
PICKLED = {".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz"}


def place(model: Path, package: Path) -> None:
    """Link the weights of `model` into `package` and copy the small files, licences among them.

    Whatever else a loader has no use for (checkpoints, optimizer state, logs) stays behind. Raises
    `PackageError` if a pickle is among the files, or weights or config are missing.
    """
    _refuse_pickles(model)
    weights = sorted([*model.glob(WEIGHTS), *model.glob(GGUF)])
    _check_whole(model, weights)
    for file in weights:
        _link(file, package / file.name)
    # Copied, not linked: somebody will edit a config, and a link would edit the model's too.
    texts = {file for pattern in TEXTS for file in model.glob(pattern)}
    for file in sorted({*texts, *legal_files(model)}):
        target = package / file.relative_to(model)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)


def read_json(file: Path) -> dict[str, Any]:
    """A JSON object from a file; `PackageError` if it is none."""
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise PackageError(f"{file}: missing; it takes a whole model to package") from None
    except ValueError as error:
        raise PackageError(f"{file}: not JSON ({error}); run the stage before again") from None
    if not isinstance(value, dict):
        raise PackageError(f"{file}: not a JSON object; run the stage before again")
    return value


def _link(source: Path, target: Path) -> None:
    """A hard link where the file system allows; the source may itself link into DVC's cache."""
    source = source.resolve()
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _check_whole(model: Path, weights: list[Path]) -> None:
    if not weights:
        raise PackageError(f"{model}: no {WEIGHTS} or {GGUF} file; no other weights are packaged")
    read_json(model / "config.json")
    if not (model / INDEX).exists():
        return
    named = set(read_json(model / INDEX).get("weight_map", {}).values())
    if missing := sorted(named - {file.name for file in weights}):
        raise PackageError(f"{model / INDEX}: names {', '.join(missing)}, which is missing")


def _refuse_pickles(model: Path) -> None:
    if found := sorted(file.relative_to(model).as_posix() for file in _pickles(model)):
        raise PackageError(
            f"{model}: {', '.join(found)}: a pickle can run code when loaded;"
            " save the weights as safetensors and remove it"
        )


def _pickles(model: Path) -> Iterator[Path]:
    for file in model.rglob("*"):
        if file.is_file() and (file.suffix.lower() in PICKLED or _looks_pickled(file)):
            yield file


def _looks_pickled(file: Path) -> bool:
    """torch.save writes a zip or a bare pickle, whatever the file is called.

    A safetensors file starts with the length of its JSON header, which may look like a pickle's
    first bytes: the brace that opens the header tells them apart.
    """
    with file.open("rb") as stream:
        head = stream.read(9)
    if file.match(WEIGHTS):
        return head[8:] != b"{"
    return head.startswith(b"PK\x03\x04") or (head[:1] == b"\x80" and head[1:2] in b"\2\3\4\5")
