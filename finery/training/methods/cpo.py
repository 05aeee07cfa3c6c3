"""Contrastive preference optimization, by TRL: DPO with nothing as its reference."""

from pathlib import Path
from typing import Any

from finery.params.methods.cpo import CpoParams
from finery.training.arguments import on_one_gpu


def build_trainer(params: CpoParams, start: Path, data: Path, checkpoints: Path) -> Any:
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
        mean=params.loss == "ipo",
        loss_type=params.loss,
        beta=params.beta,
        label_smoothing=params.label_smoothing,
        cpo_alpha=params.sft_weight,
    )
