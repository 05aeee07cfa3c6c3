"""REINFORCE leave-one-out, by TRL."""

from pathlib import Path
from typing import Any

from finery.params.methods.rloo import RlooParams
from finery.training.reinforced import reinforced


def build_trainer(params: RlooParams, start: Path, data: Path, checkpoints: Path) -> Any:
    """An RLOOTrainer over the prompts of `data`."""
    from trl import RLOOConfig, RLOOTrainer

    folders = start, data, checkpoints
    own = {"normalize_advantages": params.normalize_advantages}
    return reinforced(RLOOTrainer, RLOOConfig, params, folders, **own)
