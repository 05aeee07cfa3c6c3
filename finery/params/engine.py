"""`train.STEP`: how what is computed is computed: memory for time, kernels, long contexts."""

from collections.abc import Iterator
from typing import Annotated, Literal

from pydantic import Field

from finery.params.section import Section

ATTENTION = {
    "auto": None,
    "eager": None,
    "sdpa": None,
    "flash_attention_2": "flash_attn",
    "flash_attention_3": "flash_attn_interface",
}
"""The implementations of attention, and the modules that they come from."""
GPU_ONLY = ("flash_attention_2", "flash_attention_3")
ABREAST = ("sft", "pretrain")
"""Methods that several devices can train by: a sample counts by its tokens, whoever has it."""
SHARED = ("lora", "full", "freeze")
"""Tuners whose weights they can share."""
IN_PARTS = ("fsdp2", "deepspeed_zero2", "deepspeed_zero3")
"""Ways to train where no device has all of what is trained."""
TRACKERS = {"tensorboard": "tensorboard", "wandb": "wandb", "mlflow": "mlflow",
            "swanlab": "swanlab", "trackio": "trackio", "dvclive": "dvclive"}  # fmt: skip
"""What can be reported to, and the modules."""


class CheckpointingParams(Section):
    use_reentrant: bool = False
    """torch's older way, which some models need."""
    every_n_layers: Annotated[int, Field(ge=1)] = 1
    """Recompute each n-th layer alone: between no checkpointing and all of it."""


class RopeScalingParams(Section):
    """A rotation stretched to longer contexts: by position interpolation (linear, Chen et al.
    2023, arXiv:2306.15595), by NTK-aware scaling (dynamic), or YaRN (arXiv:2309.00071)."""

    rope_type: Literal["linear", "dynamic", "yarn"]
    factor: Annotated[float, Field(gt=1, le=64)]
    """How many times the positions of the model it is stretched to."""


class EngineParams(Section):
    distributed: Literal["auto", "none", "ddp", "fsdp2", "deepspeed_zero2", "deepspeed_zero3"] = (
        "auto"
    )
    """How several devices share the training: each has all of the model (ddp), or parts of it
    (fsdp2, deepspeed). auto: ddp over the GPUs that are there. How many: resources.processes."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    gradient_checkpointing_kwargs: CheckpointingParams = CheckpointingParams()
    attn_implementation: Literal[tuple(ATTENTION)] = "auto"  # type: ignore[valid-type]
    """auto: flash attention where it is installed, a GPU is there and trains in half precision;
    otherwise torch's own (sdpa), or the model's (eager) where it has no other."""
    use_liger_kernel: bool = False
    """Kernels of Triton for some layers and the loss; on a GPU alone."""
    cpu_kernels: bool = False
    """On a CPU, compute a layer and its LoRA in one matrix product, and the head where the loss
    counts alone, to the same losses but for rounding; a resumed training may then end with
    other last bits than an uninterrupted one. false: as PEFT and TRL do."""
    torch_compile: bool = False
    """Compile the model: minutes before the first step, then some percent faster."""
    rope_scaling: RopeScalingParams | None = None
    """Train, and serve, with contexts longer than the model's own."""
    report_to: list[Literal[tuple(TRACKERS)]] = []  # type: ignore[valid-type]
    """Trackers that the losses are shown in as well; their logs are in .finery/logs/STEP."""

    def engine_problems(self) -> Iterator[str]:
        """What is wrong with them, a line each."""
        if len(set(self.report_to)) < len(self.report_to):
            yield "report_to: names one twice"
