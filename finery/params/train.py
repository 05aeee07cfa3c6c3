"""`train`: how the adapter is trained."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.section import Section

Precision = Literal["auto", "fp32", "bf16", "fp16"]


class LoraParams(Section):
    """Low-rank adaptation (Hu et al. 2021, arXiv:2106.09685)."""

    rank: Annotated[int, Field(ge=1, le=1024)] = 8
    alpha: Annotated[float, Field(gt=0)] = 16
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_modules: Literal["all-linear"] | Annotated[list[str], Field(min_length=1)] = "all-linear"
    """Layers that get an adapter: all-linear, or a list of names such as [q_proj, v_proj]."""


class TrainParams(Section):
    lora: LoraParams = LoraParams()
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    num_train_epochs: Annotated[float, Field(gt=0, le=1000)] = 3
    per_device_batch_size: Annotated[int, Field(ge=1)] = 1
    gradient_accumulation_steps: Annotated[int, Field(ge=1)] = 8
    """Batches summed into a step; effective batch size: this x per_device_batch_size x devices."""
    lr_scheduler_type: Literal["cosine", "linear", "constant", "constant_with_warmup"] = "cosine"
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the steps over which the learning rate rises."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    precision: Precision = "auto"
    """auto: bf16 where the GPU has it, otherwise fp32."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    logging_steps: Annotated[int, Field(ge=1)] = 10
    eval_steps: Annotated[int, Field(ge=1)] = 100
    """Steps between two looks at the validation loss."""
    save_steps: Annotated[int, Field(ge=1)] = 100
    """Steps between two checkpoints: what a kill costs at most."""
    seed: Annotated[int, Field(ge=0)] = 42
