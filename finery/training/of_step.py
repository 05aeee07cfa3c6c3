"""What a step's settings ask of transformers' Trainer and it does not do by itself."""

import difflib
from typing import Any

from finery.errors import UserError
from finery.params.optimizers import MUON
from finery.params.step import StepParams
from finery.training.prepared import by_dataset
from finery.training.schedule import refuse_late_stop


class MetricError(UserError):
    """The step is to be steered by a metric that is not measured."""


class OfStep:
    """For a Trainer of transformers: by the settings of its `step`."""

    step: StepParams

    def set_initial_training_values(self, args: Any, dataloader: Any) -> Any:
        """What the Trainer begins with; the warm-up becomes a number of steps.

        The schedule-free optimizers take a share for one, and begin with many times the rate.
        """
        values = super().set_initial_training_values(args, dataloader)
        refuse_late_stop(self.step, values[-1])
        args.warmup_steps = args.get_warmup_steps(values[-1])
        for group in self.optimizer.param_groups if self.optimizer is not None else ():
            if "warmup_steps" in group:  # the tuner has made it, before that was known
                group["warmup_steps"] = args.warmup_steps
        return values

    def create_optimizer(self, model: Any = None) -> Any:
        if self.optimizer is None and self.step.optim == MUON:
            from finery.training.optimizers import muon

            self.optimizer_cls_and_kwargs = muon(self.step, self.model if model is None else model)
        return super().create_optimizer(model)

    def evaluation_loop(
        self, dataloader: Any, *args: Any, metric_key_prefix: str = "eval", **settings: Any
    ) -> Any:
        """The loss of each dataset by itself, and over all of them, a sample counting as one."""
        held, whole = dataloader.dataset, super().evaluation_loop
        if len(parts := by_dataset(self.eval_dataset)) < 2 or len(held) != len(self.eval_dataset):
            return whole(dataloader, *args, metric_key_prefix=metric_key_prefix, **settings)
        found = []
        for name, part in parts.items():
            prefix = f"{metric_key_prefix}_{name}"
            loader = self.get_eval_dataloader(part)
            output = whole(loader, *args, metric_key_prefix=prefix, **settings)
            found.append((f"{prefix}_loss", output))
        rows = sum(output.num_samples for _, output in found)
        losses = {key: output.metrics[key] for key, output in found}
        mean = sum(output.metrics[key] * output.num_samples for key, output in found) / rows
        metrics = {f"{metric_key_prefix}_loss": mean} | losses
        return found[0][1]._replace(metrics=metrics, num_samples=rows)

    def evaluate(self, *args: Any, **settings: Any) -> dict[str, float]:
        """Raises `MetricError` if what is to be watched is not measured."""
        metrics = super().evaluate(*args, **settings)
        name = self.args.metric_for_best_model
        if name and (name := f"eval_{name.removeprefix('eval_')}") not in metrics:
            near = difflib.get_close_matches(name, metrics, n=1)
            known = sorted(key for key in metrics if not key.endswith(("_runtime", "_per_second")))
            meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(known)}"
            raise MetricError(
                f"{self.step.key}.metric_for_best_model: no {name} is measured; {meant}"
            )
        return metrics

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        """Save the weights that a schedule-free optimizer stands for, not those it moves."""
        if callable(settle := getattr(self.optimizer, "eval", None)):
            settle()
        super()._save_checkpoint(model, trial)
