"""The optimizers of a step, by transformers' names: those that work, and why others do not.

Those that work learn here and, resumed from any checkpoint, end with the same bytes.
"""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

MUON = "muon"
PACKAGES = {
    "bitsandbytes": (
        "adamw_8bit", "adamw_bnb_8bit", "ademamix", "ademamix_8bit", "lion_8bit", "lion_32bit",
        "paged_adamw_32bit", "paged_adamw_8bit", "paged_ademamix_32bit", "paged_ademamix_8bit",
        "paged_lion_32bit", "paged_lion_8bit", "rmsprop_bnb", "rmsprop_bnb_8bit",
        "rmsprop_bnb_32bit",
    ),
    "torchao": ("adamw_torch_8bit", "adamw_torch_4bit"),
    "galore_torch": ("galore_adamw", "galore_adafactor"),
    "apollo_torch": ("apollo_adamw",),
    "lomo_optim": ("lomo",),
    "schedulefree": ("schedule_free_adamw", "schedule_free_radam", "schedule_free_sgd"),
    "optimi": ("stable_adamw",),
}  # fmt: skip
"""By the module that they are imported from, which `pip install 'finery[optimizers]'` brings."""
TORCH = ("adamw_torch", "adamw_torch_fused", "adafactor", "sgd", "adagrad", "rmsprop", MUON)
WORKING = (*TORCH, *(name for names in PACKAGES.values() for name in names))
PROJECTING = (*PACKAGES["galore_torch"], *PACKAGES["apollo_torch"])
"""They need to be told the layers whose gradients they project."""
UNSCHEDULED = PACKAGES["schedulefree"]
"""They warm up by themselves and need no other schedule."""

UNDECAYED = (*PROJECTING, "lomo")
"""They leave weight_decay out."""
ARGS = {
    "sgd": ("momentum", "dampening", "nesterov"),
    "adagrad": ("lr_decay", "eps"),
    "rmsprop": ("momentum", "alpha", "eps", "centered"),
    "stable_adamw": ("max_lr",),
    MUON: ("momentum", "nesterov", "ns_steps", "adjust_lr_fn"),
} | {name: ("beta1", "beta2", "beta3", "alpha", "eps", "t_alpha", "t_beta3")
     for name in WORKING if "ademamix" in name
} | {name: ("rank", "update_proj_gap", "scale", "proj_type") for name in PACKAGES["galore_torch"]
} | {name: ("rank", "update_proj_gap", "scale", "proj_type", "proj", "scale_type")
     for name in PACKAGES["apollo_torch"]
} | {name: ("weight_lr_power", "r") for name in UNSCHEDULED}  # fmt: skip
"""What `optim_args` can have, where it can have anything."""

LAYERWISE = "its state is in no checkpoint, so that a resumed run ends otherwise; take {}"
REFUSED = {
    "galore_adamw_layerwise": LAYERWISE.format("galore_adamw"),
    "galore_adamw_8bit_layerwise": LAYERWISE.format("galore_adamw"),
    "galore_adafactor_layerwise": LAYERWISE.format("galore_adafactor"),
    "apollo_adamw_layerwise": LAYERWISE.format("apollo_adamw"),
    "galore_adamw_8bit": "it runs on NVIDIA GPUs alone, and untested; take galore_adamw",
    "adalomo": "it runs on NVIDIA GPUs alone, and untested; take lomo",
    "grokadamw": "resumed from a checkpoint it ends otherwise; take adamw_torch",
    "adamw_anyprecision": "its package, torchdistx, is no longer kept; take adamw_torch",
    "adamw_torch_xla": "it is for TPUs; take adamw_torch",
    "adamw_torch_npu_fused": "it is for Ascend NPUs; take adamw_torch",
    "badam": "blocks in turn are no optimizer here; train the last layers (tuner.type: freeze)",
}


def known_optimizer(name: object) -> object:
    """The name as it is; raises `ValueError` with the reason if it is none that works."""
    if not isinstance(name, str) or name in WORKING:
        return name
    if name in REFUSED:
        raise ValueError(f"{name} is not offered: {REFUSED[name]}")
    near = _plain(name) or difflib.get_close_matches(name, WORKING, n=1)
    meant = f"did you mean {near[0]}?" if near else f"known are {', '.join(WORKING)}"
    raise ValueError(f"there is no optimizer {name}; {meant}")


def _plain(name: str) -> list[str]:
    """Of a family that is named alone, as adamw or Lion, its plainest: torch's, without extras."""
    said = name.casefold().replace("-", "_")
    family = [each for each in WORKING if each.startswith((said, f"schedule_free_{said}"))]
    return [said] if said in WORKING else family[:1]


def args_problems(name: str, args: Mapping[str, Any]) -> Iterator[str]:
    """What is wrong with the `optim_args` of an optimizer: transformers ignores what it has not."""
    for key, value in args.items():
        if key not in (known := ARGS.get(name, ())):
            near = difflib.get_close_matches(key, known, n=1)
            meant = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            yield f"optim_args.{key}: {name} has none such; {meant if known else 'take it out'}"
        elif not isinstance(value, str | int | float) or set(str(value)) & set("=, "):
            yield f"optim_args.{key}: must be a number, a word, true or false, not {value}"


def package(name: str) -> str | None:
    """The module that an optimizer is imported from, beyond what Finery always brings."""
    return next((module for module, names in PACKAGES.items() if name in names), None)
