"""Group relative policy optimization and its kin, by TRL."""

from pathlib import Path
from typing import Any

from finery.params.methods.grpo import GrpoParams
from finery.training.reinforced import reinforced

BY_SEQUENCE = ("luspo",)
"""The losses whose ratios are those of whole answers."""


def build_trainer(params: GrpoParams, start: Path, data: Path, checkpoints: Path) -> Any:
    """A GRPOTrainer over the prompts of `data`."""
    from trl import GRPOConfig, GRPOTrainer

    folders = start, data, checkpoints
    level = "sequence" if params.loss_type in BY_SEQUENCE else "token"
    return reinforced(
        GRPOTrainer,
        GRPOConfig,
        params,
        folders,
        loss_type=params.loss_type,
        scale_rewards=params.scale_rewards,
        epsilon_high=params.epsilon_high,
        importance_sampling_level=level,
    )
