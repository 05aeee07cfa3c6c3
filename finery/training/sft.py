"""Supervised fine-tuning of a LoRA adapter: TRL's SFTTrainer on samples that are tokens."""

import os
from pathlib import Path
from typing import Any

from finery.models.load import load_model
from finery.models.tokenizer import load_tokenizer
from finery.params.train import TrainParams
from finery.training.checkpoints import mark_complete
from finery.training.precision import training_dtype
from finery.training.prepared import packed_length, read_samples
from finery.training.progress import report_progress
from finery.training.schedule import refuse_schedule


def build_trainer(params: TrainParams, base: Path, data: Path, checkpoints: Path) -> Any:
    """An SFTTrainer over `data`/train.parquet, watching `data`/validation.parquet.

    Its checkpoints go to `checkpoints`; each is marked once it is whole. Unless a launcher such
    as torchrun has started it, it trains on one GPU, the first that CUDA_VISIBLE_DEVICES names.
    """
    if "WORLD_SIZE" not in os.environ:
        visible = os.environ.get("CUDA_VISIBLE_DEVICES", "0")
        os.environ["CUDA_VISIBLE_DEVICES"] = visible.partition(",")[0]
    from transformers import PrinterCallback

    from finery.training.cpu_loss import CpuLossTrainer
    from finery.training.learning import StopsAtNan
    from finery.training.order import InOrder
    from finery.training.packing import collate, packed, refuse_if_samples_meet

    training, validation = (read_samples(data / f"{n}.parquet") for n in ("train", "validation"))
    if length := packed_length(data):
        training, validation = packed(training, length), packed(validation, length)
    refuse_schedule(params, len(training))
    dtype = training_dtype(params.precision)
    model = load_model(base, dtype)
    if length:
        refuse_if_samples_meet(model)

    class Trainer(InOrder, StopsAtNan, CpuLossTrainer):
        """In an order that can be resumed, up to the first NaN, with a loss for CPUs."""

    trainer = Trainer(
        model=model,
        args=_arguments(params, dtype, checkpoints, validate=len(validation) > 0),
        data_collator=collate if length else None,
        train_dataset=training,
        eval_dataset=validation if len(validation) else None,
        processing_class=load_tokenizer(base),
        peft_config=_lora(params),
        callbacks=[mark_complete(), report_progress()],
    )
    trainer.remove_callback(PrinterCallback)
    return trainer


def _arguments(params: TrainParams, dtype: str, checkpoints: Path, validate: bool) -> Any:
    import torch
    from trl import SFTConfig

    return SFTConfig(
        output_dir=str(checkpoints),
        learning_rate=params.learning_rate,
        num_train_epochs=params.num_train_epochs,
        per_device_train_batch_size=params.per_device_batch_size,
        per_device_eval_batch_size=params.per_device_batch_size,
        gradient_accumulation_steps=params.gradient_accumulation_steps,
        lr_scheduler_type=params.lr_scheduler_type,
        warmup_steps=params.warmup_ratio,  # below 1 it is a share of all steps
        weight_decay=params.weight_decay,
        max_grad_norm=params.max_grad_norm,
        bf16=dtype == "bfloat16",
        fp16=dtype == "float16",
        use_cpu=dtype == "bfloat16" and not torch.cuda.is_available(),  # or bf16 is refused
        gradient_checkpointing=params.gradient_checkpointing,
        train_sampling_strategy="group_by_length",
        eval_strategy="steps" if validate else "no",
        eval_steps=params.eval_steps,
        save_steps=params.save_steps,
        save_total_limit=2,
        logging_steps=params.logging_steps,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        seed=params.seed,
        report_to="none",
        dataloader_pin_memory=torch.cuda.is_available(),
        max_length=None,  # prepare has cut the samples
        dataset_kwargs={"skip_prepare_dataset": True},
    )


def _lora(params: TrainParams) -> Any:
    from peft import LoraConfig

    return LoraConfig(
        r=params.lora.rank,
        lora_alpha=params.lora.alpha,
        lora_dropout=params.lora.dropout,
        target_modules=params.lora.target_modules,
        task_type="CAUSAL_LM",
    )
