"""`train.STEP.max_tokens_per_batch`: the samples of a step in parts of so many tokens.

Some steps compute a sample otherwise beside others, or need to have all of a batch at once.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from finery.params.step import StepParams

ON_A_CPU = 1024
"""Tokens at once where it is left open: more are no faster there, and leave its caches."""
SUPERVISED = ("sft", "pretrain")
WHOLE: tuple[tuple[str, Callable[["StepParams"], bool], str], ...] = (
    (
        f"with a method other than {', '.join(SUPERVISED)}",
        lambda step: step.method not in SUPERVISED,
        "its loss is of pairs, or of all the samples of a batch",
    ),
    (
        "with distributed other than auto and none",
        lambda step: step.distributed not in ("auto", "none"),
        "several devices take samples in turn",
    ),
    (
        "with quantization",
        lambda step: step.quantization is not None,
        "whether the model keeps samples apart is tried, which such layers are not to be used for"
        " before they are trained",
    ),
    (
        "with optim: lomo",
        lambda step: step.optim == "lomo",
        "it takes a step with each part",
    ),
    (
        "with neftune_noise_alpha",
        lambda step: step.neftune_noise_alpha is not None,
        "the noise follows from how long the longest sample of a batch is",
    ),
    (
        "with torch_compile",
        lambda step: step.torch_compile,
        "it would compile each part anew",
    ),
    (
        "with rope_scaling: {rope_type: dynamic}",
        lambda step: step.rope_scaling is not None and step.rope_scaling.rope_type == "dynamic",
        "the rotation follows from the longest sample of a batch",
    ),
)  # fmt: skip
"""With what a step cannot be cut, in words, how to tell, and why."""


def tokens_at_once(step: "StepParams", gpu: bool) -> int | None:
    """How many a device takes at once, at most, or else one longer sample.

    None: as many samples as the step says, however long.
    """
    most = step.max_tokens_per_batch
    if most is None or any(found(step) for _, found, _ in WHOLE):
        return None
    if most == "auto":
        return None if gpu else ON_A_CPU
    return most
