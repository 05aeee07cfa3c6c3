"""Packages that only some settings need: which, and how they are installed."""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

from finery.errors import UserError
from finery.params.engine import ATTENTION, TRACKERS
from finery.params.optimizers import PACKAGES, package
from finery.params.step import StepParams

QUANTIZERS = {"bnb": "bitsandbytes", "torchao": "torchao", "hqq": "hqq"}
EXTRAS = dict.fromkeys(PACKAGES, "optimizers") | {"liger_kernel": "liger"}
EXTRAS |= {name: name for name in (*TRACKERS.values(), "deepspeed")}
EXTRAS |= {"hqq": "quantization"}
"""The extra of pyproject.toml that brings a module."""
FLASH = "pip install flash-attn --no-build-isolation, next to a CUDA compiler"
ON_GPUS = ("liger_kernel", "flash_attn", "flash_attn_interface")
"""What runs on a GPU alone."""
GPUS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Where Linux has NVIDIA's, AMD's and, under Windows, any GPU."""


class MissingPackage(UserError):
    """A setting needs a package that is not installed."""


def refuse_missing(params: StepParams) -> None:
    """Raises `MissingPackage` for a setting whose package is not there; nothing is imported."""
    for problem in missing(params):
        raise MissingPackage(f"{params.key}.{problem}")


def missing(params: StepParams) -> Iterator[str]:
    """A line for each setting of a step that needs a package, or a GPU, that is not there."""
    for key, value, module in needed(params):
        if module in ON_GPUS and not any(Path(device).exists() for device in GPUS):
            yield f"{key}: {value} needs a GPU, and there is none here; take it out"
        elif find_spec(module) is None:
            yield f"{key}: {value} needs the package {module}; {_how(module)}"


def needed(params: StepParams) -> Iterator[tuple[str, str, str]]:
    """Settings that need a package: the key, its value and the module to import."""
    if module := package(params.optim):
        yield "optim", params.optim, module
    if module := ATTENTION[params.attn_implementation]:
        yield "attn_implementation", params.attn_implementation, module
    if params.use_liger_kernel:
        yield "use_liger_kernel", "true", "liger_kernel"
    if params.distributed.startswith("deepspeed"):
        yield "distributed", params.distributed, "deepspeed"
    for name in params.report_to:
        yield "report_to", name, TRACKERS[name]
    if params.quantization is not None and params.quantization.method in QUANTIZERS:
        method = params.quantization.method
        yield "quantization.method", method, QUANTIZERS[method]


def _how(module: str) -> str:
    """How a package is installed."""
    if module in EXTRAS:
        return f"pip install 'finery[{EXTRAS[module]}]' -c constraints.txt"
    return FLASH
