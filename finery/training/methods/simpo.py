"""Simple preference optimization, by TRL: the mean log-probabilities of the tokens compared."""

from pathlib import Path
from typing import Any

from finery.params.methods.simpo import SimpoParams
from finery.training.arguments import on_one_gpu


def build_trainer(params: SimpoParams, start: Path, data: Path, checkpoints: Path) -> Any:
    """A CPOTrainer over `data`/train.parquet, watching `data`/validation.parquet."""
    on_one_gpu()
    from trl.experimental.cpo import CPOConfig, CPOTrainer

    from finery.training.counted_pairs import without_reference

    folders = (start, data, checkpoints)
    return without_reference(
        CPOTrainer,
        CPOConfig,
        params,
        folders,
        mean=True,
        loss_type="simpo",
        beta=params.beta,
        simpo_gamma=params.gamma,
        cpo_alpha=params.sft_weight,
    )
