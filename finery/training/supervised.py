"""Learning to continue: TRL's SFTTrainer on samples that are tokens, for sft and pretrain."""

from pathlib import Path
from typing import Any

from finery.models.tokenizer import load_tokenizer
from finery.params.pace import devices, samples_of_a_step
from finery.params.step import StepParams
from finery.training.arguments import arguments, on_one_gpu
from finery.training.checkpoints import mark_complete
from finery.training.pictures import IMAGES, SeesImages, collator, has_images
from finery.training.precision import training_dtype
from finery.training.prepared import TOKENS, packed_length, read_samples, read_validation
from finery.training.progress import report_progress
from finery.training.schedule import refuse_schedule
from finery.training.start import load_start, peft_config


def supervised(params: StepParams, start: Path, data: Path, checkpoints: Path) -> Any:
    """An SFTTrainer over `data`/train.parquet, watching `data`/validation.parquet.

    Its checkpoints go to `checkpoints`; each is marked once it is whole.
    """
    on_one_gpu()
    from transformers import PrinterCallback
    from trl import SFTConfig

    from finery.training.by_tokens import ByTokens, part_size
    from finery.training.cpu_loss import CpuLossTrainer
    from finery.training.learning import StopsAtNan
    from finery.training.order import InOrder, longest_first, with_nothing
    from finery.training.packing import collate, packed, packed_apart, refuse_if_samples_meet

    columns = (*TOKENS, IMAGES) if (seen := has_images(data)) else TOKENS
    training, validation = (
        read_samples(data / "train.parquet", columns),
        read_validation(data, columns),
    )
    if length := packed_length(data):
        training, validation = packed(training, length), packed_apart(validation, length)
    refuse_schedule(params, len(training))
    dtype = training_dtype(params)
    model = load_start(params, start, dtype)
    if length:
        refuse_if_samples_meet(model, params)
    size = part_size(params, model, sees=seen)
    given = arguments(params, dtype, checkpoints, validate=len(validation) > 0)
    if size:
        given["per_device_train_batch_size"] = samples_of_a_step(params)
        given["gradient_accumulation_steps"] = 1

    class Trainer(InOrder, StopsAtNan, ByTokens, SeesImages, CpuLossTrainer):
        """In an order that can be resumed, up to the first NaN, with a loss for CPUs."""

        def _get_eval_sampler(self, eval_dataset: Any) -> list[int]:
            return longest_first(eval_dataset)

    trainer = Trainer(
        model=model,
        args=SFTConfig(
            **given,
            train_sampling_strategy="group_by_length",
            max_length=None,  # prepare has cut the samples
            dataset_kwargs={"skip_prepare_dataset": True},
        ),
        data_collator=collate if length else collator(start, data) if seen else None,
        train_dataset=training if devices() == 1 else with_nothing(training),
        eval_dataset=validation if len(validation) else None,
        processing_class=load_tokenizer(start),
        peft_config=peft_config(params, model),
        callbacks=[mark_complete(), report_progress()],
    )
    trainer.step, trainer.part_size = params, size
    trainer.remove_callback(PrinterCallback)
    return trainer
