"""What a step starts with: the model it goes on from, and what of it, or on it, is trained."""

from importlib import import_module
from pathlib import Path
from typing import Any

from finery.models.load import load_model
from finery.models.scoring import load_scorer
from finery.models.seeing import beside_vision, freeze_vision, sees
from finery.params.step import StepParams
from finery.training.engine import model_settings
from finery.training.equip import equip
from finery.training.head import project_counted
from finery.training.own_weights import train_head
from finery.training.quantized import in_few_bits, in_float32, load_quantized
from finery.training.sharing import sharing

WHOLE = ("none", "ddp")
"""Ways to train where each process has all of the weights."""


def load_start(params: StepParams, start: Path, dtype: str) -> Any:
    """The model in `start`, in the type to train in (torch's name), ready for the step's tuner;
    with a head that scores where the step makes a reward model.
    """
    given = model_settings(params, start, dtype)
    if params.quantization is not None:
        return load_quantized(params.quantization, start, dtype, **given)
    if params.scores:
        model = load_scorer(start, dtype, params.seed, **given)
    else:
        model = load_model(start, dtype, **given)
    if hasattr(tuner := _tuner(params), "open_weights"):
        tuner.open_weights(params.tuner, model)
        train_head(model)
        if params.freeze_vision and sees(start):
            freeze_vision(model)
    return model


def peft_config(params: StepParams, model: Any, task_type: str = "CAUSAL_LM") -> Any:
    """PEFT's configuration of the step's tuner, for `model`; None if its own weights are trained.

    Of all-linear it would find no layer that is in few bits and no kind of torch's own. A model
    that reads images is adapted in its language part alone, if the step says so.
    """
    if not hasattr(tuner := _tuner(params), "peft_config"):
        return None
    config = tuner.peft_config(params.tuner)
    config.task_type = task_type
    if getattr(config, "target_modules", None) == "all-linear" and (found := in_few_bits(model)):
        config.target_modules = found
    if params.freeze_vision and hasattr(model.config, "vision_config"):
        config.exclude_modules = beside_vision(model, config.exclude_modules)
    return config


def built(params: StepParams, start: Path, data: Path, checkpoints: Path) -> Any:
    """The Trainer of the step's method, with what its tuner and its settings ask of it."""
    method = import_module(f"finery.training.methods.{params.method}")
    trainer = method.build_trainer(params, start, data, checkpoints)
    if params.quantization is not None:
        in_float32(trainer.model)
    if hasattr(tuner := _tuner(params), "attach"):
        tuner.attach(params.tuner, trainer)
    equip(trainer, params)
    kernels = _takes_kernels(params, trainer)
    project_counted(kernels)
    if kernels:
        from finery.training.lora_kernel import quicken

        quicken(trainer.model)
    return trainer


def _takes_kernels(params: StepParams, trainer: Any) -> bool:
    """Whether its layers are computed by kernels for a CPU; a compiler makes its own."""
    on_cpu = trainer.args.device.type == "cpu"
    return params.cpu_kernels and on_cpu and not params.torch_compile and sharing(params) in WHOLE


def _tuner(params: StepParams) -> Any:
    return import_module(f"finery.training.tuners.{params.tuner.type}")
