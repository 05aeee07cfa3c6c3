"""From a model folder to one GGUF file, by llama.cpp's own converter.

The converter is Python, and comes with a `gguf` of its own, newer than the one that transformers
reads such files by: it runs in a process of its own.
Format: github.com/ggml-org/ggml/blob/master/docs/gguf.md.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, Literal, get_args

from finery.models.gguf import program
from finery.models.gguf.converter import architectures, find_converter
from finery.models.gguf.errors import GgufError, TooLarge
from finery.models.settings import CONFIG, read_settings

Outtype = Literal["f32", "f16", "bf16", "q8_0"]
LARGEST = {"f16": 65504.0, "q8_0": 65504.0 * 127}
"""The largest number of a type; q8_0 has a scale in float16, and bytes up to 127."""
LONGEST = 300  # characters of a reason


def convert(model: Path, file: Path, outtype: Outtype, name: str = "model") -> None:
    """Write the model in the folder `model` to `file`, its weights as `outtype`.

    Chat template, stop tokens and what is put before a prompt are the folder's. `name` is what the
    file calls the model; the same folder and name give the same bytes. One-dimensional weights
    stay float32. Raises `GgufError` if the model is quantized or reads images, a weight is too
    large for the type, the package is not installed, or llama.cpp knows no such model or
    tokenizer. `file` appears whole or not at all.
    """
    converter = find_converter()
    _refuse(model, outtype)
    if (found := _too_large(model, outtype)) is not None:
        others = " or ".join(each for each in get_args(Outtype) if each not in LARGEST)
        raise TooLarge(
            f"{model}: {found[0]} has {found[1]:.3g}, and {outtype} ends at"
            f" {LARGEST[outtype]:.3g}; take {others}"
        )
    part = file.with_name(f"{file.name}.part")
    file.parent.mkdir(parents=True, exist_ok=True)
    job = {"model": str(model), "file": str(part), "outtype": outtype, "name": name}
    try:
        _run(converter, job, model)
        part.chmod(0o644)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def _refuse(model: Path, outtype: str) -> None:
    if outtype not in get_args(Outtype):
        raise GgufError(f"gguf: no type {outtype}; there are {', '.join(get_args(Outtype))}")
    config = read_settings(model / CONFIG)
    if not config or not any(model.glob("*.safetensors")):
        raise GgufError(f"{model}: no {CONFIG} with safetensors beside it; name a model's folder")
    if said := config.get("quantization_config"):
        raise GgufError(
            f"{model}: its weights are in {said.get('quant_method')}; convert the model it was made"
            " from, in full precision"
        )
    if config.get("vision_config"):
        raise GgufError(
            f"{model}: models that read images are not converted to GGUF; use it as it is"
        )
    if unknown := unknown_architecture(config):
        raise GgufError(f"{model}: {unknown}")


def unknown_architecture(config: dict[str, Any]) -> str | None:
    """Why a model with this config.json cannot be converted, if llama.cpp does not know its kind.

    Raises `GgufError` if the converter is not installed.
    """
    name = (config.get("architectures") or [config.get("model_type", "unknown")])[0]
    if name in architectures():
        return None
    return (
        f"llama.cpp's converter knows no {name}; leave gguf out of quantize.formats, or take"
        " another base model (model.source)"
    )


def _too_large(model: Path, outtype: str) -> tuple[str, float] | None:
    """The first weight matrix with a number that the type has none for, and that number."""
    from safetensors import safe_open

    if outtype not in LARGEST:
        return None
    for file in sorted(model.glob("*.safetensors")):
        with safe_open(file, framework="pt") as tensors:
            for name in tensors.keys():  # noqa: SIM118 (no mapping)
                tensor = tensors.get_tensor(name)
                if tensor.ndim > 1 and (most := float(tensor.abs().max())) > LARGEST[outtype]:
                    return name, most
    return None


def _run(converter: Path, job: dict[str, Any], model: Path) -> None:
    """Convert in a process of its own, which ends with this one and asks no hub for anything."""
    offline = {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_OFFLINE": "1", "PYTHONWARNINGS": "ignore"}
    command = [sys.executable, "-m", program.__name__, str(os.getpid()), converter]
    with tempfile.TemporaryFile() as screen:
        done = subprocess.run(
            command,
            input=json.dumps(job).encode(),
            stdout=subprocess.PIPE,
            stderr=screen,
            env=os.environ | offline,
        )
        screen.seek(max(0, screen.tell() - 4000))
        said = screen.read().decode(errors="replace").split("\n")
    if done.returncode == 0:
        return
    reason = done.stdout.decode(errors="replace") or next(filter(None, reversed(said)), "")
    if done.returncode < 0 and not done.stdout:
        reason = f"ended by signal {-done.returncode}, as the system does when memory is full"
    reason = " ".join(reason.split())[:LONGEST]
    raise GgufError(f"{model}: llama.cpp's converter: {reason}")
