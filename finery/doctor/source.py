"""Whether the configured base model can be had: it is here, or where it comes from answers."""

import os
import sys
from pathlib import Path

from finery import lineage
from finery.doctor.finding import Finding, note, ok, problem
from finery.doctor.network import status, without_password
from finery.doctor.pip_indexes import find
from finery.params.model import scheme
from finery.params.schema import Params

NAME = "base model"
BASE = Path("models/base")
MAIN = {"hf": "@main", "modelscope": "@master"}
OFFLINE = ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE")
MIRROR = "check the network or proxy, or set HF_ENDPOINT to a mirror (https://hf-mirror.com)"


def source(params: Params) -> list[Finding]:
    """An unreachable source matters only while the model is not in models/base yet."""
    downloaded = _downloaded()
    wanted = {"source": params.model.source, "quantized": params.model.quantized}
    return [_found(named, downloaded[key]) for key, named in wanted.items() if named]


def _found(wanted: str, downloaded: str | None) -> Finding:
    look = {"hf": _hf, "modelscope": _modelscope, "pypi": _pypi, "path": _path}
    where = scheme(wanted)
    finding = look[where](wanted)
    whole = wanted + (MAIN.get(where, "") if "@" not in wanted else "")
    if finding.level == "ok" or downloaded != whole:
        return finding
    here = f"{BASE} has it; but {finding.what}"
    return note(NAME, here, f"only for another download: {finding.advice}")


def _downloaded() -> dict[str, str | None]:
    """What models/base is of: model.source, and model.quantized beside it."""
    try:
        record = lineage.read(BASE).get("download", {})
        quantized = record.get("quantized", {})
        return {"source": record.get("source"), "quantized": quantized.get("source")}
    except (OSError, ValueError, AttributeError):
        return {"source": None, "quantized": None}


def _hf(source: str) -> Finding:
    from huggingface_hub import get_token, try_to_load_from_cache

    repo, _, revision = source.removeprefix("hf:").partition("@")
    revision = revision or "main"
    cached = isinstance(try_to_load_from_cache(repo, "config.json", revision=revision), str)
    if any(os.environ.get(name, "").upper() in ("1", "TRUE", "YES", "ON") for name in OFFLINE):
        if cached:
            return ok(NAME, f"{source} is in the Hub's cache, and HF_HUB_OFFLINE is set")
        what = f"{source} is not in the Hub's cache, and HF_HUB_OFFLINE is set"
        return problem(NAME, what, "unset HF_HUB_OFFLINE for the first download")
    hub = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    answer = status(f"{hub}/{repo}/resolve/{revision}/config.json", get_token())
    if isinstance(answer, str) and cached:
        what = f"{source} is in the Hub's cache; {without_password(hub)} cannot be reached"
        return note(NAME, what, f"what the cache lacks cannot be fetched: {MIRROR}")
    return _from_hub(source, hub, answer, "HF_TOKEN", MIRROR)


def _modelscope(source: str) -> Finding:
    from modelscope_hub import HubConfig

    repo, _, revision = source.removeprefix("modelscope:").partition("@")
    hub = HubConfig().endpoint
    query = f"Revision={revision or 'master'}&FilePath=config.json"
    answer = status(f"{hub}/api/v1/models/{repo}/repo?{query}")
    advice = "check the network or proxy, or set MODELSCOPE_ENDPOINT"
    return _from_hub(source, hub, answer, "MODELSCOPE_API_TOKEN", advice)


def _from_hub(source: str, hub: str, answer: int | str, token: str, reach: str) -> Finding:
    shown = without_password(hub)
    if isinstance(answer, str):
        return problem(NAME, f"{source}: {shown} cannot be reached ({answer})", reach)
    if answer in (401, 403):
        advice = f"check the name; accept the model's terms at its page, and set {token}"
        return problem(NAME, f"{source}: {shown} refuses access ({answer})", advice)
    if answer == 404:
        advice = "check the name and the revision in model.source"
        return problem(NAME, f"{source}: not found at {shown}", advice)
    if answer >= 500 or answer == 429:
        return problem(NAME, f"{source}: {shown} answers with status {answer}", reach)
    return ok(NAME, f"{source}: {shown} has it")


def _pypi(source: str) -> Finding:
    package, _, version = source.removeprefix("pypi:").partition("==")
    place, troubles = find(package, version)
    if place:
        return ok(NAME, f"{source}: {place} has it")
    what = f"{source}: {'; '.join(troubles) or 'pip has no index to look in'}"
    pip = f"{sys.executable} -m pip"
    return problem(NAME, what, f"check the name, the network and `{pip} config list`")


def _path(source: str) -> Finding:
    folder = Path(source.removeprefix("path:"))
    if not folder.is_dir():
        return problem(NAME, f"{source}: no such folder", "correct model.source in params.yaml")
    if not list(folder.glob("*.safetensors")) or not (folder / "config.json").is_file():
        what = f"{source}: no config.json with *.safetensors beside it"
        return problem(NAME, what, "name the folder of a whole model in safetensors")
    return ok(NAME, f"{source} is there")
