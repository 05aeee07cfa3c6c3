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
    kept = trainer.state.best_global_step if params.load_best_model_at_end else None
    summary = {"steps": trainer.state.global_step} | ({"best_step": kept} if kept else {})
    summary |= last_losses(log, kept) | turn_ends(trainer, start, data, params.key)
    save_trained(trainer.model, params, policy_of(start), adapter)
    record = {"method": params.method, "tuner": params.tuner.type, "metrics": summary}
    lineage.write(adapter, [start, data], f"train@{step}", record)
    write_csv(log, loss)
    write_png(log, plot)
    metrics.write_text(to_json(summary, indent=2) + "\n")


if __name__ == "__main__":
    from finery.stage.run import run

    run(train)
