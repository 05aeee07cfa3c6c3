"""train: a step of the training, on its prepared samples."""

from pathlib import Path

from finery import lineage
from finery.models.load import be_quiet
from finery.models.policy import policy_of
from finery.params.extras import refuse_missing
from finery.params.step import StepParams
from finery.to_json import to_json
from finery.training.adapter import save_trained
from finery.training.checkpoints import last_good, train_from
from finery.training.errors import training_errors
from finery.training.loss import last_losses, write_csv, write_png
from finery.training.prepared import refuse_other_kinds, validated
from finery.training.principal import principal_parts
from finery.training.processes import processes_for, together
from finery.training.schedule import refuse_unwatched
from finery.training.sharing import from_leader, leads
from finery.training.start import built
from finery.training.turn_ends import turn_ends
from finery.training.untrained import fingerprints, refuse_untrained


def train(
    params: StepParams,
    step: str,
    start: Path,
    data: Path,
    processes: int | None = None,
    *,
    adapter: Path,
    loss: Path,
    plot: Path,
    metrics: Path,
    checkpoints: Path,
) -> None:
    """Train on `data` what the step's tuner says of the model `start`, or on top of it.

    Goes on from the last checkpoint if there is one. `adapter` gets what was trained alone.
    `processes` of this machine do it together; None: one for each GPU, if the step lets them.

    `loss` is a CSV with a row a logged step, `plot` the same as PNG, `metrics` the losses of what
    is kept, and how often it ends its turns.
    """
    refuse_missing(params)
    refuse_other_kinds(data, params)
    refuse_unwatched(params, validated(data))
    be_quiet()
    count = processes_for(params, processes)
    together(count, _train, params, step, start, data, adapter, loss, plot, metrics, checkpoints)


def _train(
    params: StepParams,
    step: str,
    start: Path,
    data: Path,
    adapter: Path,
    loss: Path,
    plot: Path,
    metrics: Path,
    checkpoints: Path,
) -> None:
    """The same, by each of the processes; the leader alone writes."""
    be_quiet()
    trainer = built(params, start, data, checkpoints)
    begun, principal = fingerprints(trainer.model), principal_parts(trainer.model)
    resumed = from_leader(lambda: last_good(checkpoints))
    if resumed:
        print(f"resuming from {resumed.name}")
    with training_errors(params.key):
        train_from(trainer, resumed)
    refuse_untrained(trainer.model, begun, params.key)

    log = trainer.state.log_history
    kept = trainer.state.best_global_step if params.load_best_model_at_end else None
    summary = {"steps": trainer.state.global_step} | ({"best_step": kept} if kept else {})
    trained = policy_of(start)
    summary |= last_losses(log, kept) | turn_ends(trainer, trained, data, params.key)
    save_trained(trainer.model, params, trained, adapter, principal)
    if not leads():
        return
    record = {"method": params.method, "tuner": params.tuner.type, "metrics": summary}
    if params.rope_scaling:
        record |= {"rope_scaling": params.rope_scaling.model_dump()}
    if params.quantization is not None:
        record["quantization"] = params.quantization.words
    lineage.write(adapter, [start, data], f"train@{step}", record)
    write_csv(log, loss)
    write_png(log, plot)
    metrics.write_text(to_json(summary, indent=2) + "\n")


if __name__ == "__main__":
    from finery.stage.run import run

    run(train)
