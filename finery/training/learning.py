"""Training that computes NaN stops at that step and says why; no checkpoint is made of it.

An infinite loss or weight is as bad as NaN: the next step makes one of it.
"""

import math
from pathlib import Path
from typing import Any, NoReturn

from finery.models.finite import no_number, remedy
from finery.training.errors import TrainingError
from finery.training.of_step import OfStep

IGNORED = -100


class StopsAtNan(OfStep):
    """For a Trainer of transformers: no step is taken on numbers that are not finite."""

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> Any:
        loss = super().training_step(model, inputs, num_items_in_batch)
        if not loss.isfinite():
            labels = inputs.get("labels") if isinstance(inputs, dict) else None
            nothing = labels is not None and not (labels[..., 1:] != IGNORED).any()
            cause = self._uncounted() if nothing else self._untrained()
            self._stop(self.state.global_step + 1, "the loss", loss, cause)
        return loss

    def _get_grad_norm(self, model: Any, grad_norm: Any = None) -> Any:
        norm = super()._get_grad_norm(model, grad_norm)
        if not math.isfinite(norm) and not self.args.fp16:  # its scaler leaves such steps out
            self._stop(self.state.global_step + 1, "the gradient", norm)
        return norm

    def evaluate(self, *args: Any, **settings: Any) -> dict[str, float]:
        metrics = super().evaluate(*args, **settings)
        if not math.isfinite(loss := metrics["eval_loss"]):
            self._stop(self.state.global_step, "the validation loss", loss)
        return metrics

    def _stop(self, step: int, what: str, value: Any, cause: str | None = None) -> NoReturn:
        at = f"step {step} of {self.state.max_steps}"
        likeliest = _damaged(Path(self.model.name_or_path)) or cause or self._too_large()
        raise TrainingError(f"{at}: {what} is {float(value)}: {likeliest}")

    def _uncounted(self) -> str:
        again = f"`dvc repro -f {self.step.key.replace('train.', 'prepare@', 1)}`"
        return f"none of its tokens is counted; {again} writes them again"

    def _untrained(self) -> str | None:
        if self.state.global_step:
            return None
        return (
            f"the model computes it before anything is trained; try {self.step.key}.precision:"
            " fp32 or another model (model.source)"
        )

    def _too_large(self) -> str:
        key = self.step.key
        if self.args.fp16:
            return f"float16 ends at 65504; set {key}.precision: bf16 or fp32"
        scale = f", or {key}.tuner.alpha" if hasattr(self.step.tuner, "alpha") else ""
        rate = f"{key}.learning_rate ({self.args.learning_rate:g})"
        return f"the steps are too large; lower {rate}{scale}"


def _damaged(base: Path) -> str | None:
    """What to say of a base model with a weight that is not finite; None if all are."""
    if (found := no_number(base)) is None:
        return None
    file, name = found
    return f"{file}: {name} holds NaN or infinity; {remedy(base)}"
