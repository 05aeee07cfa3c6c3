"""train: a step of the training, on its prepared samples."""

from importlib import import_module
from pathlib import Path

from finery import lineage
from finery.models.load import be_quiet
from finery.models.policy import policy_of
from finery.params.step import StepParams
from finery.to_json import to_json
from finery.training.adapter import refuse_untrained, save_adapter
from finery.training.checkpoints import last_good, train_from
from finery.training.errors import training_errors
from finery.training.loss import last_losses, write_csv, write_png
from finery.training.prepared import refuse_other_kinds


def train(
    params: StepParams,
    step: str,
    start: Path,
    data: Path,
    *,
    adapter: Path,
    loss: Path,
    plot: Path,
    metrics: Path,
    checkpoints: Path,
) -> None:
    """Train an adapter of the model `start` on `data`, going on from the last checkpoint if any.

    `loss` is a CSV with a row a logged step, `plot` the same as PNG, `metrics` the last losses.
    """
    refuse_other_kinds(data, params)
    be_quiet()
    method = import_module(f"finery.training.methods.{params.method}")
    trainer = method.build_trainer(params, start, data, checkpoints)
    resumed = last_good(checkpoints)
    if resumed:
        print(f"resuming from {resumed.name}")
    with training_errors(params.key):
        train_from(trainer, resumed)
    refuse_untrained(trainer.model, params.key)

    log = trainer.state.log_history
    summary = {"steps": trainer.state.global_step} | last_losses(log)
    save_adapter(trainer.model, policy_of(start), adapter)
    record = {"method": params.method, "tuner": params.tuner.type, "metrics": summary}
    lineage.write(adapter, [start, data], f"train@{step}", record)
    write_csv(log, loss)
    write_png(log, plot)
    metrics.write_text(to_json(summary, indent=2) + "\n")


if __name__ == "__main__":
    from finery.stage.run import run

    run(train)
