"""Direct preference optimization, by TRL.

The reference is the model that the step started from: the same weights with the adapter taken off,
or a second copy of them where that is not the same.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finery.params.methods.dpo import DpoParams
from finery.training.arguments import on_one_gpu
from finery.training.preferences import PAIR, masked, pairs, parts, ready, reference


def build_trainer(params: DpoParams, start: Path, data: Path, checkpoints: Path) -> Any:
    """A DPOTrainer over `data`/train.parquet, watching `data`/validation.parquet."""
    on_one_gpu()
    from trl import DPOConfig, DPOTrainer

    from finery.training.learning import StopsAtNan
    from finery.training.order import InOrder

    class Trainer(InOrder, StopsAtNan, DPOTrainer):
        """In an order that can be resumed, up to the first NaN, on samples that are tokens."""

        def _prepare_dataset(self, dataset: Any, *_: Any, **__: Any) -> Any:
            return dataset

    given, made = parts(params, start, data, checkpoints, PAIR)
    config = DPOConfig(
        **given,
        loss_type=list(params.loss),
        loss_weights=list(params.loss.values()),
        beta=params.beta,
        label_smoothing=params.label_smoothing,
        max_length=None,  # prepare has cut the samples
    )
    copy = reference(params, start, made["peft_config"], made["model"])
    return ready(Trainer(args=config, ref_model=copy, data_collator=collate, **made), params)


def collate(rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The better answers, and below them, in the same order, the worse."""
    return masked(pairs(rows))
