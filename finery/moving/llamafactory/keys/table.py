"""Every argument of LLaMA-Factory's, and what becomes of it: the one table of the import."""

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from finery.moving.llamafactory.files.given import arguments
from finery.moving.llamafactory.files.reading import OLD
from finery.moving.llamafactory.keys import computing, models, pace, texts, weights
from finery.moving.llamafactory.keys.draft import LEFT, NOTED, UNKNOWN, Draft, Outcome
from finery.moving.llamafactory.keys.reasons import ANSWERING, REASONS

IDLE = "has no effect beside the other settings, in LLaMA-Factory neither"


OF_THE_MODEL = (
    "model_name_or_path", "adapter_name_or_path", "finetuning_type", "stage", "dataset_dir",
    "output_dir", "quantization_bit", "quantization_method", "do_eval", "do_predict",
    "model_revision",
)  # fmt: skip
WORK = {
    "export": "each step is merged into the model that it started from; merge.step is the last",
    "predict": "base, merged and the quantized models are all asked the tests (data.test)",
    "chat": "`finery chat` and `finery serve` answer by any of the models, such as merged",
    "eval": "the tests are your own (data.test); benchmarks are not run",
}
"""What has the place of the files that train nothing, and the keys that say it in them."""


@dataclass(frozen=True)
class Row:
    """Arguments that become settings together."""

    keys: str
    """With spaces between them."""
    to: str
    """In params.yaml, as the documentation has it."""
    becomes: Callable[[Draft], None] | None = None
    """What makes settings of them; None for one that is copied to `to`."""
    defaults: bool = False
    """Whether LLaMA-Factory's default is another than ours, and so is written."""
    note: str = ""
    tasks: tuple[str, ...] = ("train",)

    @property
    def names(self) -> list[str]:
        return self.keys.split()

    @property
    def row(self) -> str:
        """As docs/from-llamafactory.md has it."""
        return f"| {quoted(self.keys)} | {quoted(self.to, ', ')} | {self.note} |"

    def apply(self, draft: Draft) -> None:
        if self.becomes is not None:
            self.becomes(draft)
        elif draft.has(self.keys) or self.defaults:
            section, _, name = self.to.removeprefix("train.").partition(".")
            target = f"step.{name}" if section == "STEP" else f"{section}.{name}"
            draft.carry(target, draft[self.keys], self.keys)


ROWS = (
    Row("model_name_or_path model_revision", "model.source", models.model,
        note="a folder is path:, a repository hf: or modelscope: (USE_MODELSCOPE_HUB)"),
    Row("stage", "train.STEP.method", weights.method,
        note="pt is pretrain, rm reward, ppo rloo; pref_loss orpo and simpo are methods"),
    Row("finetuning_type use_llama_pro lora_target lora_rank lora_alpha lora_dropout use_rslora"
        " use_dora loraplus_lr_ratio pissa_init pissa_iter pissa_convert additional_target"
        " oft_target oft_block_size oft_rank module_dropout freeze_trainable_layers"
        " freeze_trainable_modules freeze_extra_modules", "train.STEP.tuner", weights.tuner,
        note="lora_alpha is twice lora_rank if it is not given, as there"),
    Row("quantization_bit quantization_method quantization_type double_quantization",
        "train.STEP.quantization", weights.quantization, note="bnb, hqq; torchao for eetq"),
    Row("freeze_vision_tower freeze_multi_modal_projector", "train.STEP.freeze_vision",
        weights.vision, note="both, or neither"),
    Row("pref_beta pref_loss pref_ftx pref_bco_weight dpo_label_smoothing simpo_gamma"
        " kto_chosen_weight kto_rejected_weight", "train.STEP.loss, beta, gamma, ...",
        weights.preferences, note="by the method: docs/training.md"),
    Row("dataset eval_dataset", "train.STEP.data", texts.datasets),
    Row("mix_strategy interleave_probs", "data.mix_strategy, train.STEP.data.interleave_probs",
        texts.mixing),
    Row("cutoff_len max_samples packing neat_packing", "data.cutoff_len, max_samples, packing",
        texts.lengths, note="packed samples never see each other"),
    Row("mask_history train_on_prompt", "data.mask_history, train_on_prompt", texts.masks),
    Row("val_size", "data.val_size", texts.validation, note="a number of rows becomes a share"),
    Row("template", "model.chat_template", texts.template, note="the model's own template is used",
        tasks=("train", "predict", "export", "chat")),
    Row("enable_thinking", "data.chat_template_kwargs", texts.thinking,
        note="where the named template can think"),
    Row("media_dir", "data.dataset_dir", texts.media),
    Row("per_device_train_batch_size gradient_accumulation_steps",
        "train.STEP.per_device_batch_size, gradient_accumulation_steps", pace.batch,
        note="of several GPUs (--gpus, or as the command says) the product"),
    Row("max_new_tokens temperature top_p", "train.STEP.max_completion_length, temperature, top_p",
        pace.sampling, note="of stage: ppo"),
    Row("learning_rate", "train.STEP.learning_rate", defaults=True),
    Row("num_train_epochs max_steps logging_steps eval_steps save_steps eval_strategy"
        " save_strategy logging_strategy", "train.STEP.num_train_epochs, max_steps, ..._steps",
        pace.steps, note="looks and checkpoints are counted in steps"),
    Row("lr_scheduler_type lr_scheduler_kwargs",
        "train.STEP.lr_scheduler_type, lr_scheduler_kwargs", pace.schedule),
    Row("warmup_ratio warmup_steps", "train.STEP.warmup_ratio, warmup_steps", pace.warmup,
        note="warmup_steps below 1 is a share"),
    Row("optim optim_args optim_target_modules use_galore galore_target galore_rank"
        " galore_update_interval galore_scale galore_proj_type use_apollo apollo_target"
        " apollo_rank apollo_update_interval apollo_scale apollo_proj apollo_proj_type"
        " apollo_scale_type use_muon",
        "train.STEP.optim, optim_args, optim_target_modules", computing.optimizer),
    *(Row(key, f"train.STEP.{key}") for key in (
        "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon", "max_grad_norm", "seed",
        "torch_compile",
    )),
    Row("neftune_noise_alpha", "train.STEP.neftune_noise_alpha"),
    Row("fp16 bf16 pure_bf16", "train.STEP.precision", computing.precision),
    Row("disable_gradient_checkpointing gradient_checkpointing use_reentrant_gc flash_attn"
        " enable_liger_kernel use_liger_kernel",
        "train.STEP.gradient_checkpointing, attn_implementation, use_liger_kernel",
        computing.memory, note="checkpointing is on unless it is turned off, as there"),
    Row("rope_scaling", "train.STEP.rope_scaling", texts.rope,
        note="the factor that cutoff_len needs, where the model is here"),
    Row("deepspeed fsdp", "train.STEP.distributed", computing.sharing,
        note="the stage that DeepSpeed's file says; fsdp2"),
    Row("early_stopping_steps load_best_model_at_end metric_for_best_model greater_is_better",
        "train.STEP.early_stopping_patience, load_best_model_at_end, ...", pace.watching),
    Row("report_to use_swanlab", "train.STEP.report_to", computing.trackers),
    Row("eval_dataset dataset max_new_tokens per_device_eval_batch_size do_predict do_eval"
        " predict_with_generate do_sample temperature top_p top_k repetition_penalty",
        "data.test, evaluate.max_new_tokens, batch_size, temperature, ...", texts.asked,
        tasks=("predict",), note="of a prediction: what the evaluation asks"),
    Row("export_dir export_quantization_bit export_quantization_nsamples infer_dtype",
        "package.name, quantize.formats and gptq.bits, data.calibration_samples, merge.dtype",
        models.export, tasks=("export",)),
)  # fmt: skip


def quoted(names: str, between: str = " ") -> str:
    return ", ".join(f"`{name}`" for name in names.split(between))


def reason_rows(fate: str) -> list[str]:
    """What becomes no setting, LEFT or NOTED, as docs/from-llamafactory.md has it."""
    return [f"| {quoted(keys)} | {said} |" for own, said, keys in REASONS if own == fate]


@cache
def left() -> dict[str, tuple[str, str]]:
    """The fate and the reason of each argument that becomes no setting."""
    return {key: (fate, said) for fate, said, keys in REASONS for key in keys.split()}


@cache
def known() -> frozenset[str]:
    """Every argument that the table has."""
    return frozenset(left()) | {key for row in ROWS for key in row.names}


def drafted(draft: Draft) -> Draft:
    """Have all rows of its task applied, and each key of it accounted for."""
    task = draft.source.task
    rows = [row for row in ROWS if task in row.tasks]
    for row in rows:
        row.apply(draft)
    for key in draft.source.given:
        if draft.open(key) and not (key in known() and draft.settle(key)):
            _account(draft, key, task)
    return draft


def _account(draft: Draft, key: str, task: str) -> None:
    given = draft.source.given[key]
    if task != "train" and (said := elsewhere(key, task)):
        draft.outcomes[key] = Outcome(given, NOTED, "", said)
    elif key in left():
        fate, said = left()[key]
        draft.outcomes[key] = Outcome(given, fate, "", said)
    elif key not in known():
        draft.outcomes[key] = Outcome(
            given, UNKNOWN, "", f"no argument of LLaMA-Factory's{near(key)}"
        )
    elif any(key in row.names and task in row.tasks for row in ROWS):
        draft.outcomes[key] = Outcome(given, LEFT, "", IDLE)
    else:
        draft.outcomes[key] = Outcome(given, LEFT, "", f"says nothing in a file to {task}")


def elsewhere(key: str, task: str) -> str | None:
    """What does the work of a file that trains nothing."""
    if key in OF_THE_MODEL:
        return WORK[task]
    if task == "chat" and (key not in arguments() or arguments()[key].group == "generating"):
        return ANSWERING if key in known() else None
    return None


def near(key: str) -> str:
    found = difflib.get_close_matches(key, [*known(), *OLD, *arguments()], n=1)
    return f"; did you mean {found[0]}?" if found else ""
