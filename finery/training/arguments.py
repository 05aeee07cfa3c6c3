"""What all methods tell transformers' Trainer."""

import os
from pathlib import Path
from typing import Any

from finery.params.optimizers import MUON, PROJECTING
from finery.params.schedulers import WATCHING
from finery.params.step import StepParams
from finery.training.reporting import trackers
from finery.training.sharing import sharing_arguments


def arguments(params: StepParams, dtype: str, checkpoints: Path, validate: bool) -> dict[str, Any]:
    """Keywords for TrainingArguments, or for what a method has in its place.

    `dtype` is the type to train in, by torch's name; `validate`: whether there is something to
    watch the loss on.
    """
    import torch

    each, summed = params.batch
    return {
        "output_dir": str(checkpoints),
        "num_train_epochs": params.num_train_epochs,
        "max_steps": params.max_steps or -1,
        "per_device_train_batch_size": each,
        "per_device_eval_batch_size": params.batch_alone[0],
        "gradient_accumulation_steps": summed,
        **_optimization(params),
        "bf16": dtype == "bfloat16",
        "fp16": dtype == "float16",
        "use_cpu": dtype == "bfloat16" and not torch.cuda.is_available(),  # or bf16 is refused
        "gradient_checkpointing": params.gradient_checkpointing,
        "gradient_checkpointing_kwargs": params.gradient_checkpointing_kwargs.model_dump(),
        "use_liger_kernel": params.use_liger_kernel,
        "torch_compile": params.torch_compile,
        **_watching(params, validate),
        "logging_steps": params.logging_steps,
        "logging_first_step": True,
        "logging_nan_inf_filter": False,
        "include_num_input_tokens_seen": "non_padding",
        "seed": params.seed,
        "report_to": trackers(params) or "none",
        "dataloader_pin_memory": torch.cuda.is_available(),
    } | sharing_arguments(params, dtype)


def _optimization(params: StepParams) -> dict[str, Any]:
    project = params.optim in PROJECTING
    args = ",".join(f"{key}={value}" for key, value in params.optim_args.items())
    return {
        "learning_rate": params.learning_rate,
        "optim": "adamw_torch" if params.optim == MUON else params.optim,
        "optim_args": args or None,
        "optim_target_modules": (params.optim_target_modules or "all-linear") if project else None,
        "adam_beta1": params.adam_beta1,
        "adam_beta2": params.adam_beta2,
        "adam_epsilon": params.adam_epsilon,
        "weight_decay": params.weight_decay,
        "max_grad_norm": params.max_grad_norm,
        "lr_scheduler_type": params.lr_scheduler_type,
        "lr_scheduler_kwargs": dict(params.lr_scheduler_kwargs) or None,
        "warmup_steps": params.warmup_ratio if params.warmup_steps is None else params.warmup_steps,
        "neftune_noise_alpha": params.neftune_noise_alpha,
    }  # warmup_steps below 1 are a share of all steps


def _watching(params: StepParams, validate: bool) -> dict[str, Any]:
    """When to look at the validation loss, and which checkpoints to keep for it.

    The Trainer can keep the weights of a look only if it saves at every look; `Attended` has it
    save where save_steps says, too.
    """
    watched = params.watched or params.lr_scheduler_type in WATCHING
    best = params.load_best_model_at_end
    return {
        "eval_strategy": "steps" if validate else "no",
        "eval_steps": params.eval_steps,
        "save_steps": params.eval_steps if best else params.save_steps,
        "save_total_limit": 3 if watched else 2,
        "load_best_model_at_end": best,
        "metric_for_best_model": params.metric_for_best_model if watched else None,
        "greater_is_better": params.greater_is_better,
        "restore_callback_states_from_checkpoint": params.early_stopping_patience is not None,
    }


def on_one_gpu() -> None:
    """Show torch one GPU, the first that CUDA_VISIBLE_DEVICES names, before it looks for itself.

    Unless a launcher such as torchrun has started this process: it has chosen.
    """
    if "WORLD_SIZE" not in os.environ:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.partition(",")[0]
