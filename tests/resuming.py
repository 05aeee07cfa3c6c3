"""Whether the train stage ends with the same bytes from each checkpoint of a training."""

import shutil
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from finery.params.step import StepParams
from finery.training.start import built
from stages.train import train


def trained(params: StepParams, start: Path, data: Path, out: Path, checkpoints: Path) -> dict:
    """The bytes of all that the stage leaves."""
    out.mkdir(parents=True)
    names = {"adapter": "adapter", "loss": "l.csv", "plot": "l.png", "metrics": "m.json"}
    paths = {key: out / name for key, name in names.items()}
    train(params, "step", start, data, checkpoints=checkpoints, **paths)
    return {str(f.relative_to(out)): f.read_bytes() for f in out.rglob("*") if f.is_file()}


def every_checkpoint(params: StepParams, start: Path, data: Path, folder: Path) -> list[Path]:
    """Those of one training in their order, each with the others that it leaves beside it."""
    trainer = built(params, start, data, folder / "now")
    taken = []

    class CopyAll(TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            copy = folder / f"after-{state.global_step}"
            shutil.copytree(args.output_dir, copy)
            taken.append(copy / f"checkpoint-{state.global_step}")

    trainer.add_callback(CopyAll)
    trainer.train()
    return taken


def differences(params: StepParams, start: Path, data: Path, folder: Path) -> dict[str, list[str]]:
    """By the checkpoint resumed from, the files that are not those of the uninterrupted training;
    an empty list for each if all is well. Asserts that each is gone on from.
    """
    expected = trained(params, start, data, folder / "whole", folder / "none")
    found = {}
    for checkpoint in every_checkpoint(params, start, data, folder / "all"):
        alone = folder / f"from-{checkpoint.name}"
        shutil.copytree(checkpoint.parent, alone)
        with redirect_stdout(said := StringIO()):
            made = trained(params, start, data, folder / f"resumed-{checkpoint.name}", alone)
        assert f"resuming from {checkpoint.name}\n" in said.getvalue()
        names = sorted({*expected, *made})
        found[checkpoint.name] = [n for n in names if expected.get(n) != made.get(n)]
    return found
