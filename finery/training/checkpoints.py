"""Checkpoints that can be trusted: from each, training goes on to the same bytes."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from finery.models.finite import no_number
from finery.training.sharing import all_there, leads

COMPLETE = "complete"
STATE = "trainer_state.json"
ANSWERS = "answers.pt"
"""What was sampled last by a method that samples, of which more may be learnt."""


def mark_complete() -> Any:
    """A Trainer callback that marks a checkpoint once all of its files are written.

    It has each step logged that is saved: what the Trainer has summed up of the losses since it
    last logged is not in the checkpoint, and would be missing from the mean of a resumed run.
    """
    from transformers import TrainerCallback

    class MarkComplete(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            control.should_log |= control.should_save

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            all_there()  # each writes a part of it
            if leads():
                (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()

    return MarkComplete()


def last_good(checkpoints: Path) -> Path | None:
    """The newest good checkpoint of the folder, if any; newer and unfinished ones are removed.

    One is good if no kill cut it short, all of it can be read, and its numbers are finite; and if
    the one with the best weights, to be taken in the end, is good as well.
    """
    found = {int(path.name.partition("-")[2]): path for path in checkpoints.glob("checkpoint-*")}
    for step, path in list(found.items()):
        if not (path / COMPLETE).exists():
            shutil.rmtree(found.pop(step))
    for step in sorted(found, reverse=True):
        if _is_good(found[step]) and _is_good(_best_of(found[step])):
            return found[step]
        shutil.rmtree(found[step])
    return None


def train_from(trainer: Any, checkpoint: Path | None) -> None:
    """Train to the end, from a checkpoint if there is one.

    From the last one of all there is nothing to train. The Trainer would not notice that in the
    middle of an epoch, nor that it had stopped early, and take a step too many.
    """
    state = json.loads((checkpoint / STATE).read_text()) if checkpoint else None
    if state and (state["global_step"] >= state["max_steps"] or _stopped(state)):
        trainer._load_from_checkpoint(str(checkpoint))
        trainer.state = type(trainer.state).load_from_json(str(checkpoint / STATE))
        if trainer.args.load_best_model_at_end:
            trainer.state.best_model_checkpoint = str(_best(checkpoint, state))
            trainer._load_best_model()
    else:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)


def _stopped(state: dict[str, Any]) -> bool:
    control = state.get("stateful_callbacks", {}).get("TrainerControl", {})
    return control.get("args", {}).get("should_training_stop", False)


def _best(checkpoint: Path, state: dict[str, Any]) -> Path:
    """The checkpoint with the best weights so far, as one has it; itself if it knows of none."""
    if state.get("best_model_checkpoint") is None:
        return checkpoint
    return checkpoint.with_name(Path(state["best_model_checkpoint"]).name)


def _best_of(checkpoint: Path) -> Path:
    return _best(checkpoint, json.loads((checkpoint / STATE).read_text()))


def _is_good(checkpoint: Path) -> bool:
    """Whether it can be read, and weights and what the optimizer keeps of them are finite."""
    import torch

    try:
        json.loads((checkpoint / STATE).read_text())
        if not any(checkpoint.glob("*.safetensors")) or no_number(checkpoint):
            return False
        for file in checkpoint.glob(ANSWERS):
            torch.load(file, map_location="cpu", weights_only=True)
        for file in checkpoint.glob("optimizer.*"):  # .bin: what FSDP2 had in parts
            kept = torch.load(file, map_location="cpu", weights_only=True).get("state", {})
            if not all(value.isfinite().all() for value in _tensors(kept)):
                return False
    except Exception:  # torch and pickle raise what they stumble over
        return False
    return True


def _tensors(kept: Any) -> Iterator[Any]:
    """Those of an optimizer's state; what torchao holds in 8 and 4 bits is unpacked."""
    import torch

    if isinstance(kept, dict):
        for value in kept.values():
            yield from _tensors(value)
    elif torch.is_tensor(kept):
        yield kept.dequantize() if hasattr(kept, "codes") else kept
