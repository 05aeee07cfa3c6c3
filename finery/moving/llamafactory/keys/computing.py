"""By which optimizer a step is computed, in which numbers, on which devices, and who is told."""

import json
import re
from pathlib import Path
from typing import Any

from finery.moving.llamafactory.files.given import names
from finery.moving.llamafactory.keys.draft import Draft

AUTO = "auto takes flash attention wherever it is installed"
ATTENTION = {
    "auto": "auto", "disabled": "eager", "off": "eager", "sdpa": "sdpa", "eager": "eager",
    "false": "eager", "fa2": "auto", "fa3": "auto", "true": "auto", "flash_attention_2": "auto",
    "flash_attention_3": "auto",
}  # fmt: skip
OFF = ("disabled", "off", "sdpa", "eager", "auto", "false")
TRACKERS = ("tensorboard", "wandb", "mlflow", "swanlab", "trackio", "dvclive")
GALORE = {"adamw_8bit": "galore_adamw_8bit", "adamw_bnb_8bit": "galore_adamw_8bit",
          "adafactor": "galore_adafactor"}  # fmt: skip


def optimizer(draft: Draft) -> None:
    name, keys = draft["optim"], ["optim"]
    if name == "adamw_hf":
        name = "adamw_torch"
    args: dict[str, Any] = _pairs(draft["optim_args"])
    if draft["use_galore"]:
        args |= {"rank": draft["galore_rank"], "scale": draft["galore_scale"],
                 "update_proj_gap": draft["galore_update_interval"],
                 "proj_type": draft["galore_proj_type"]}  # fmt: skip
        name = GALORE.get(name, "galore_adamw")
        keys += ["use_galore", "galore_rank", "galore_update_interval", "galore_scale",
                 "galore_proj_type"]  # fmt: skip
        _projected(draft, "galore_target")
    elif draft["use_apollo"]:
        args |= {"rank": draft["apollo_rank"], "update_proj_gap": draft["apollo_update_interval"],
                 "scale": draft["apollo_scale"], "proj": draft["apollo_proj"],
                 "proj_type": draft["apollo_proj_type"],
                 "scale_type": draft["apollo_scale_type"]}  # fmt: skip
        name = "apollo_adamw"
        keys += ["use_apollo", "apollo_rank", "apollo_update_interval", "apollo_scale",
                 "apollo_proj", "apollo_proj_type", "apollo_scale_type"]  # fmt: skip
        _projected(draft, "apollo_target")
    elif draft["use_muon"]:
        name, keys = "muon", ["use_muon", "optim"]
    draft.carry("step.optim", name, *keys)
    said = [key for key in keys[1:] if key.startswith(("galore_", "apollo_"))]
    draft.carry("step.optim_args", args or None, "optim_args", *said)
    if draft.has("optim_target_modules"):
        draft.carry("step.optim_target_modules", draft["optim_target_modules"],
                    "optim_target_modules")  # fmt: skip


def _projected(draft: Draft, key: str) -> None:
    layers = names(draft[key])
    every = "all" in layers
    draft.carry("step.optim_target_modules", None if every else layers, key)


def _pairs(told: Any) -> dict[str, Any]:
    """`momentum=0.9,nesterov=true` as a mapping."""
    pairs = (part.partition("=") for part in names(told))
    found = {}
    for key, _, value in pairs:
        try:
            found[key] = json.loads(value.lower())
        except ValueError:
            found[key] = value
    return found


def precision(draft: Draft) -> None:
    keys = ("fp16", "bf16", "pure_bf16")
    on = next((key for key in keys if draft[key]), None)
    if on is None:
        return
    note = "what is trained stays in float32" if on == "pure_bf16" else ""
    if on == "fp16":
        note = "for a GPU; auto is bf16 where the GPU has it, and float32 elsewhere"
    draft.carry("step.precision", on.removeprefix("pure_"), on, note=note)


def memory(draft: Draft) -> None:
    """Checkpointing is on in LLaMA-Factory unless it is turned off."""
    off = draft["disable_gradient_checkpointing"]
    keys = ("disable_gradient_checkpointing", "gradient_checkpointing")
    draft.carry("step.gradient_checkpointing", not off, *keys)
    if draft.has("use_reentrant_gc"):
        note = "torch's newer way is taken; the numbers are the same"
        draft.note("use_reentrant_gc", note)
    if draft.has("flash_attn"):
        told = str(draft["flash_attn"]).lower()
        note = "" if told in OFF else AUTO
        draft.carry("step.attn_implementation", ATTENTION.get(told, told), "flash_attn", note=note)
    for key in ("enable_liger_kernel", "use_liger_kernel"):
        if draft[key]:
            note = "on a GPU, with pip install 'finery[liger]'"
            draft.carry("step.use_liger_kernel", True, key, note=note)


def sharing(draft: Draft) -> None:
    if draft.has("deepspeed"):
        zero = _zero(draft["deepspeed"], draft.source.place)
        note = "its other settings are Finery's; pip install 'finery[deepspeed]'"
        draft.carry("step.distributed", f"deepspeed_zero{zero}" if zero > 1 else "ddp",
                    "deepspeed", note=note)  # fmt: skip
    elif draft.has("fsdp"):
        draft.carry("step.distributed", "fsdp2", "fsdp", note="PyTorch's second FSDP")


def _zero(told: Any, place: Path) -> int:
    """DeepSpeed's stage: as its settings say, or else the name of their file."""
    file = next((f for f in (Path(str(told)), place / str(told)) if f.is_file()), None)
    if file is not None:
        try:
            told = json.loads(file.read_text("utf-8"))
        except ValueError:
            told = file.name
    if isinstance(told, dict):
        return int(told.get("zero_optimization", {}).get("stage", 0))
    found = re.search(r"(?:z|zero|stage)[_-]?(\d)", str(told).lower())
    return int(found[1]) if found else 3


def trackers(draft: Draft) -> None:
    asked = names(draft["report_to"]) if draft.has("report_to") else []
    known = [name for name in asked if name in TRACKERS]
    other = [name for name in asked if name not in (*TRACKERS, "none", "all")]
    keys = ["report_to"]
    if draft["use_swanlab"] and "swanlab" not in known:
        known.append("swanlab")
        keys.append("use_swanlab")
    note = "logs are in .finery/logs/STEP; what it needs is an extra" if known else ""
    if other:
        note = f"without {', '.join(other)}, which is not offered; {note}".rstrip("; ")
    if "all" in asked:
        note = "those that are installed are not searched for; name them"
    draft.carry("step.report_to", known or None, *keys, note=note)
