"""Odds ratio preference optimization, by TRL: the better answer is learnt, and preferred."""

from pathlib import Path
from typing import Any

from finery.params.methods.orpo import OrpoParams
from finery.training.arguments import on_one_gpu


def build_trainer(params: OrpoParams, start: Path, data: Path, checkpoints: Path) -> Any:
    """A ORPOTrainer over `data`/train.parquet, watching `data`/validation.parquet."""
    on_one_gpu()
    from trl.experimental.orpo import ORPOConfig, ORPOTrainer

    from finery.training.counted_pairs import without_reference

    folders = (start, data, checkpoints)
    return without_reference(ORPOTrainer, ORPOConfig, params, folders, mean=True, beta=params.beta)
