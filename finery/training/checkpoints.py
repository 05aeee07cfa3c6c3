"""Checkpoints that can be trusted: one that a kill cut short is never resumed from."""

import shutil
from pathlib import Path
from typing import Any

COMPLETE = "complete"


def mark_complete() -> Any:
    """A Trainer callback that marks a checkpoint once all of its files are written."""
    from transformers import TrainerCallback

    class MarkComplete(TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            (Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE).touch()

    return MarkComplete()


def last_complete(checkpoints: Path) -> Path | None:
    """The newest whole checkpoint of the folder, if any; the others without a mark are removed."""
    found = {int(path.name.partition("-")[2]): path for path in checkpoints.glob("checkpoint-*")}
    for step, path in list(found.items()):
        if not (path / COMPLETE).exists():
            shutil.rmtree(found.pop(step))
    return found[max(found)] if found else None
