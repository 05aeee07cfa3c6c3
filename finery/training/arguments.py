"""What all methods tell transformers' Trainer."""

import os
from pathlib import Path
from typing import Any

from finery.params.step import StepParams


def arguments(params: StepParams, dtype: str, checkpoints: Path, validate: bool) -> dict[str, Any]:
    """Keywords for TrainingArguments, or for what a method has in its place.

    `dtype` is the type to train in, by torch's name; `validate`: whether there is something to
    watch the loss on.
    """
    import torch

    return {
        "output_dir": str(checkpoints),
        "learning_rate": params.learning_rate,
        "num_train_epochs": params.num_train_epochs,
        "per_device_train_batch_size": params.per_device_batch_size,
        "per_device_eval_batch_size": params.per_device_batch_size,
        "gradient_accumulation_steps": params.gradient_accumulation_steps,
        "lr_scheduler_type": params.lr_scheduler_type,
        "warmup_steps": params.warmup_ratio,  # below 1 it is a share of all steps
        "weight_decay": params.weight_decay,
        "max_grad_norm": params.max_grad_norm,
        "bf16": dtype == "bfloat16",
        "fp16": dtype == "float16",
        "use_cpu": dtype == "bfloat16" and not torch.cuda.is_available(),  # or bf16 is refused
        "gradient_checkpointing": params.gradient_checkpointing,
        "eval_strategy": "steps" if validate else "no",
        "eval_steps": params.eval_steps,
        "save_steps": params.save_steps,
        "save_total_limit": 2,
        "logging_steps": params.logging_steps,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "seed": params.seed,
        "report_to": "none",
        "dataloader_pin_memory": torch.cuda.is_available(),
    }


def on_one_gpu() -> None:
    """Show torch one GPU, the first that CUDA_VISIBLE_DEVICES names, before it looks for itself.

    Unless a launcher such as torchrun has started this process: it has chosen.
    """
    if "WORLD_SIZE" not in os.environ:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.partition(",")[0]
