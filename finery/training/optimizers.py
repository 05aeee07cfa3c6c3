"""What optimizers need beyond transformers: their states can be read, their weights fit them."""

from typing import Any

from finery.errors import UserError
from finery.params.optimizers import package
from finery.params.step import StepParams


class OptimizerError(UserError):
    """The optimizer cannot move these weights."""


def let_state_be_read(optim: str) -> None:
    """Checkpoints are read without running code: the classes in the optimizer's state are named."""
    import torch

    match package(optim):
        case "galore_torch":
            from galore_torch.galore_projector import GaLoreProjector

            torch.serialization.add_safe_globals([GaLoreProjector])
        case "apollo_torch":
            from apollo_torch.random_projector import GradientProjector
            from apollo_torch.svd_projector import GaLoreProjector

            torch.serialization.add_safe_globals([GradientProjector, GaLoreProjector])
        case "torchao":
            import torchao.optim  # noqa: F401  # names its own


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
