"""Trackers that show a training as it runs: on this machine alone, unless told otherwise.

What they log is outside every output, and kept when a step is trained again.
"""

import os
from pathlib import Path
from typing import Any

from finery.params.step import StepParams

LOGS = Path(".finery/logs")
MADE_HERE = ("dvclive",)
"""By default it would write plots into dvc.yaml, which is the graph."""


def trackers(params: StepParams) -> list[str]:
    """Those that transformers makes by itself. Says where they log, which they take from the
    environment; what is set there already stays, such as WANDB_MODE=online.
    """
    folder = (LOGS / params.key.partition(".")[2]).absolute()
    for name in params.report_to:
        (folder / name).mkdir(parents=True, exist_ok=True)
        for key, value in _environment(name, folder / name).items():
            os.environ.setdefault(key, value)
    return [name for name in params.report_to if name not in MADE_HERE]


def callbacks(params: StepParams) -> list[Any]:
    """Those that are made here."""
    if "dvclive" not in params.report_to:
        return []
    from dvclive import Live
    from transformers.integrations import DVCLiveCallback

    folder = LOGS / params.key.partition(".")[2] / "dvclive"
    live = Live(str(folder), resume=True, dvcyaml=None, save_dvc_exp=False, report=None)
    return [DVCLiveCallback(live=live)]


def _environment(name: str, folder: Path) -> dict[str, str]:
    match name:
        case "tensorboard":
            return {"TENSORBOARD_LOGGING_DIR": str(folder)}
        case "wandb":
            silent = {"WANDB_SILENT": "true", "WANDB_PROJECT": "finery"}
            return {"WANDB_MODE": "offline", "WANDB_DIR": str(folder)} | silent
        case "mlflow":
            return {"MLFLOW_TRACKING_URI": f"sqlite:///{folder}/mlflow.db"}
        case "swanlab":
            return {"SWANLAB_MODE": "local", "SWANLAB_LOG_DIR": str(folder)}
        case "trackio":
            return {"TRACKIO_DIR": str(folder)}
    return {}
