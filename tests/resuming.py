"""Whether the train stage ends with the same bytes from each checkpoint of a training."""

import shutil
from importlib import import_module
from pathlib import Path

from finery.params.step import StepParams
from stages.train import train


def trained(params: StepParams, start: Path, data: Path, out: Path, checkpoints: Path) -> dict:
    """The bytes of all that the stage leaves."""
    out.mkdir(parents=True)
    names = {"adapter": "adapter", "loss": "l.csv", "plot": "l.png", "metrics": "m.json"}
    paths = {key: out / name for key, name in names.items()}
    train(params, "step", start, data, checkpoints=checkpoints, **paths)
    return {str(f.relative_to(out)): f.read_bytes() for f in out.rglob("*") if f.is_file()}


def every_checkpoint(params: StepParams, start: Path, data: Path, folder: Path) -> list[Path]:
    """Those of one training that keeps them all, in their order."""
    method = import_module(f"finery.training.methods.{params.method}")
    trainer = method.build_trainer(params, start, data, folder)
    trainer.args.save_total_limit = None
    trainer.train()
    return sorted(folder.glob("checkpoint-*"), key=lambda path: int(path.name.partition("-")[2]))


def differences(params: StepParams, start: Path, data: Path, folder: Path) -> dict[str, list[str]]:
    """By the checkpoint resumed from, the files that are not those of the uninterrupted training;
    an empty list for each if all is well.
    """
    expected = trained(params, start, data, folder / "whole", folder / "none")
    found = {}
    for checkpoint in every_checkpoint(params, start, data, folder / "all"):
        alone = folder / f"from-{checkpoint.name}"
        shutil.copytree(checkpoint, alone / checkpoint.name)
        made = trained(params, start, data, folder / f"resumed-{checkpoint.name}", alone)
        names = sorted({*expected, *made})
        found[checkpoint.name] = [n for n in names if expected.get(n) != made.get(n)]
    return found
