"""TRL's trainers without a reference, on pairs of which the prepared labels count.

TRL's own forward makes logits of all positions, and the supervised part of its ORPO learns the
questions too. Its losses are taken as they are.
"""

from pathlib import Path
from typing import Any

from datasets import Dataset
from trl.trainer.utils import selective_log_softmax

from finery.params.step import StepParams
from finery.training.learning import IGNORED, StopsAtNan
from finery.training.order import InOrder
from finery.training.preferences import PAIR, pairs, parts, ready


class AsPrepared(Dataset):
    """Samples that are tokens already: nothing that TRL would do to their texts is done."""

    def map(self, *_: Any, **__: Any) -> Any:
        return self


class CountedPairs:
    """For TRL's ORPOTrainer and CPOTrainer; batches as `preferences.pairs` makes them.

    `mean_logps`: whether an answer's log-probability is the mean of its tokens', or their sum.
    """

    mean_logps: bool

    def concatenated_forward(self, model: Any, batch: dict[str, Any]) -> tuple[Any, ...]:
        """Log-probabilities of the better and the worse answers, logits of both, and the loss of
        supervised fine-tuning on the better ones; behind them that of a mixture's router, if any.
        """
        targets = batch["labels"][:, 1:]
        counted = targets != IGNORED
        kept = counted.any(0).nonzero().flatten()  # of the positions that predict
        routed = {"output_router_logits": True} if self.aux_loss_enabled else {}
        outputs = model(
            input_ids=batch["input_ids"],
            attention_mask=batch["attention_mask"],
            use_cache=False,
            logits_to_keep=kept,
            **routed,
        )
        counted = counted[:, kept]
        logps = selective_log_softmax(outputs.logits.float(), targets[:, kept].clamp(min=0))
        logps = logps.masked_fill(~counted, 0)
        sums, counts, half = logps.sum(1), counted.sum(1), len(logps) // 2
        values = sums / counts if self.mean_logps else sums
        supervised = -sums[:half].sum() / counts[:half].sum()
        made = *values.split(half), *outputs.logits.split(half), supervised
        return (*made, outputs.aux_loss) if routed else made

    def get_batch_loss_metrics(self, *given: Any, **settings: Any) -> Any:
        """TRL's, over whole batches: it would leave rows out where accelerate, which has read
        ahead, is at the end of an epoch, and others in a resumed run.
        """
        self.accelerator.gather_for_metrics = self.accelerator.gather
        try:
            return super().get_batch_loss_metrics(*given, **settings)
        finally:
            del self.accelerator.gather_for_metrics


def without_reference(
    kind: type, config: type, params: StepParams, folders: tuple[Path, ...], mean: bool, **own: Any
) -> Any:
    """One of TRL's trainers over pairs, of the class `kind` with a `config`.

    `folders` are start, data and checkpoints, `own` what the method sets in the configuration;
    `mean` as in `CountedPairs`.
    """

    class Trainer(InOrder, StopsAtNan, CountedPairs, kind):
        """In an order that can be resumed, up to the first NaN, on samples that are tokens."""

        mean_logps = mean

    given, made = parts(params, *folders, PAIR)
    for name in ("train_dataset", "eval_dataset"):
        made[name] = made[name] and AsPrepared(made[name].data)
    settings = config(**given, **own, disable_dropout=False)
    trainer = Trainer(args=settings, data_collator=pairs, **made)
    trainer.use_dpo_data_collator = True  # TRL warns of others; what it asks of one, `pairs` does
    return ready(trainer, params)
