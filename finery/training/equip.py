"""What every step's Trainer is given, whatever its method."""

from typing import Any

from finery.params.step import StepParams
from finery.training.optimizers import let_state_be_read
from finery.training.reporting import callbacks
from finery.training.sharing import insist_on_sharing


def equip(trainer: Any, params: StepParams) -> None:
    """Have it stop early, save and report as its settings say, and its checkpoints be readable."""
    from transformers import EarlyStoppingCallback

    let_state_be_read(params.optim)
    trainer.add_callback(insist_on_sharing(trainer, params))
    for callback in callbacks(params):
        trainer.add_callback(callback)
    if params.load_best_model_at_end:
        trainer.add_callback(_save_between_looks(params.save_steps))
    if (patience := params.early_stopping_patience) is not None:
        trainer.add_callback(EarlyStoppingCallback(patience, params.early_stopping_threshold))


def _save_between_looks(every: int) -> Any:
    """A callback for a Trainer that saves at each look: it saves at each `every` steps, too."""
    from transformers import TrainerCallback

    class SaveBetweenLooks(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step % every == 0:
                control.should_save = control.should_log = True

    return SaveBetweenLooks()
