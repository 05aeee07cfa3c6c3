"""Which model a run starts from, and what an export makes of it."""

import os
import re
from pathlib import Path

from finery.moving.llamafactory.files.given import Source
from finery.moving.llamafactory.keys.draft import Draft

REPOSITORY = re.compile(r"[\w.-]+/[\w.-]+")
BITS = (2, 3, 4, 8)


def model(draft: Draft) -> None:
    if not draft.has("model_name_or_path"):
        return
    source = base(draft.source)
    note = ""
    if source.startswith("path:") and not Path(source.removeprefix("path:")).is_dir():
        note = "not on this machine; put it there, or name another place"
    if re.search(r"-(GPTQ|AWQ)\b|-int4|-4bit", source, re.IGNORECASE):
        note = "in few bits: name the same in full precision here, and this in model.quantized"
    draft.carry("model.source", source, "model_name_or_path", note=note)
    if draft.has("model_revision"):
        draft.note("model_revision", "", "model.source")


def base(source: Source) -> str:
    """A model as model.source names it: a folder, or a repository of a hub."""
    named = str(source.path("model_name_or_path")).strip()
    folder = next((f for f in _folders(named, source) if f.is_dir()), None)
    if folder is not None or not REPOSITORY.fullmatch(named.rstrip("/")) or named.startswith("."):
        return f"path:{_shown(folder) if folder else named.rstrip('/')}"
    flag = source.environment.get("USE_MODELSCOPE_HUB") or os.environ.get("USE_MODELSCOPE_HUB", "")
    hub = source.path("hub_name") or ("modelscope" if flag.lower() in ("1", "true") else "")
    revision = source.path("model_revision") or "main"
    named = named.rstrip("/") + (f"@{revision}" if revision != "main" else "")
    return f"modelscope:{named}" if hub == "modelscope" else f"hf:{named}"


def _folders(named: str, source: Source) -> list[Path]:
    path = Path(named).expanduser()
    return [path, *(folder / path for folder in (source.place, *source.place.resolve().parents))]


def _shown(folder: Path) -> str:
    """From here, if it is below; otherwise from the root."""
    whole = folder.resolve()
    here = Path().resolve()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(whole)


def export(draft: Draft) -> None:
    """Where it went, in how many bits, by how many samples."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", Path(str(draft["export_dir"])).name).strip("-._")
    note = "packages are in models/packages, of this name"
    draft.carry("package.name", name or None, "export_dir", note=note)
    bits = draft["export_quantization_bit"]
    if bits in BITS:
        note = "GPTQ, calibrated on samples of the training"
        draft.carry("quantize.formats", ["gptq"])
        draft.origins["quantize.formats"] = draft.source.given["export_quantization_bit"].where
        draft.carry("quantize.gptq.bits", bits, "export_quantization_bit", note=note)
        draft.carry("quantize.gptq.group_size", "auto")
        draft.origins["quantize.gptq.group_size"] = "the largest that divides the layer widths"
        samples = min(draft["export_quantization_nsamples"], 4096)
        draft.carry("data.calibration_samples", samples, "export_quantization_nsamples")
    elif bits is not None:
        draft.leave("export_quantization_bit", "GPTQ is made in 2, 3, 4 or 8 bits")
    dtype = draft["infer_dtype"]
    if draft.has("infer_dtype") and dtype != "auto":
        draft.carry("merge.dtype", dtype, "infer_dtype")
