"""What optimizers need beyond transformers: their states can be read, their weights fit them."""

from importlib import import_module
from typing import Any

from finery.errors import UserError
from finery.params.optimizers import package
from finery.params.step import StepParams

STATES = {
    "galore_torch": {"galore_torch.galore_projector": ["GaLoreProjector"]},
    "apollo_torch": {
        "apollo_torch.svd_projector": ["GaLoreProjector"],
        "apollo_torch.random_projector": ["GradientProjector"],
    },
    "torchao": {"torchao.optim": []},
}
"""Modules with the classes in an optimizer's state; torchao's are known once it is imported."""


class OptimizerError(UserError):
    """The optimizer cannot move these weights."""


def let_state_be_read(optim: str) -> None:
    """Checkpoints are read without running code: the classes in the optimizer's state are named."""
    import torch

    for module, names in STATES.get(package(optim) or "", {}).items():
        found = import_module(module)
        torch.serialization.add_safe_globals([getattr(found, name) for name in names])


def muon(params: StepParams, model: Any) -> tuple[Any, dict[str, Any]]:
    """torch.optim.Muon (Jordan 2024) and its settings. Raises `OptimizerError` if a weight that
    is trained is no matrix.

    A rate means what it means for AdamW, unless optim_args.adjust_lr_fn says otherwise.
    """
    import torch

    for name, weight in model.named_parameters():
        if weight.requires_grad and weight.ndim != 2:
            raise OptimizerError(
                f"{params.key}.optim: muon moves matrices alone, and {name} has"
                f" {weight.ndim} dimension{'s' if weight.ndim > 1 else ''}; take adamw_torch, or a"
                " lora without dora, biases or modules_to_save"
            )
    settings = {"adjust_lr_fn": "match_rms_adamw"} | params.optim_args
    return torch.optim.Muon, {"lr": params.learning_rate} | settings
