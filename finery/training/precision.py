"""The number type to train in: the best one that is computed here, or the one asked for."""

from finery.errors import UserError
from finery.models.load import compute_dtype, cpu_has_bf16, device
from finery.params.step import StepParams

NAMES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}
SHORT = {name: short for short, name in NAMES.items()}


class PrecisionError(UserError):
    """This machine only emulates the number type that a step's `precision` asks for."""


def training_dtype(params: StepParams) -> str:
    """torch's name of the type to train in.

    Raises `PrecisionError` for a bf16 that nothing here computes in: emulated on a CPU, a step
    takes some thirty times as long as in float32. Warns of fp16 on a CPU, emulated too.
    """
    best, precision, key = compute_dtype(), params.precision, f"{params.key}.precision"
    if precision == "auto":
        return best
    on_gpu = device() != "cpu"
    better = f"set {key}: auto, which is {SHORT[best]} here"
    if precision == "bf16" and best != NAMES[precision] and (on_gpu or not cpu_has_bf16()):
        where = "this GPU" if on_gpu else "there is no GPU, and this CPU"
        raise PrecisionError(f"{key}: {where} only emulates bf16, many times slower; {better}")
    if precision == "fp16" and not on_gpu:
        print(f"{key}: a CPU only emulates fp16, slowly, and losses overflow; {better}")
    return NAMES[precision]
