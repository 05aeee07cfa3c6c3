"""llamaboard_config.yaml: what LLaMA Board, the page in the browser, keeps of a training."""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from finery.moving.llamafactory.files.given import Given, MovingError, names

STAGES = {
    "Supervised Fine-Tuning": "sft", "Reward Modeling": "rm", "PPO": "ppo", "DPO": "dpo",
    "KTO": "kto", "Pre-Training": "pt",
}  # fmt: skip
SAME = """
learning_rate num_train_epochs max_grad_norm max_samples cutoff_len gradient_accumulation_steps
val_size lr_scheduler_type logging_steps save_steps warmup_steps packing neat_packing
train_on_prompt mask_history resize_vocab use_llama_pro enable_thinking report_to project
trackio_space_id hub_private_repo freeze_trainable_layers freeze_trainable_modules
freeze_extra_modules lora_rank lora_alpha lora_dropout loraplus_lr_ratio create_new_adapter
use_rslora use_dora lora_target additional_target pref_beta pref_ftx pref_loss ppo_score_norm
ppo_whiten_rewards freeze_vision_tower freeze_multi_modal_projector freeze_language_model
image_max_pixels image_min_pixels video_max_pixels video_min_pixels use_galore galore_rank
galore_update_interval galore_scale galore_target use_apollo apollo_rank apollo_update_interval
apollo_scale apollo_target use_badam badam_mode badam_switch_mode badam_switch_interval
badam_update_ratio use_swanlab swanlab_project swanlab_run_name swanlab_workspace swanlab_api_key
swanlab_mode dataset_dir dataset
"""
OTHER = {
    "train.training_stage": "stage", "train.batch_size": "per_device_train_batch_size",
    "train.neftune_alpha": "neftune_noise_alpha", "train.use_pissa": "pissa_init",
    "train.compute_type": "bf16", "train.ds_stage": "deepspeed",
    "train.reward_model": "reward_model",
    "top.finetuning_type": "finetuning_type", "top.template": "template",
    "top.quantization_bit": "quantization_bit", "top.quantization_method": "quantization_method",
    "top.rope_scaling": "rope_scaling", "top.booster": "flash_attn",
    "top.model_name": "model_name_or_path", "top.checkpoint_path": "adapter_name_or_path",
    "top.hub_name": "hub_name", "train.extra_args": "extra_args", "train.ds_offload": "ds_offload",
}  # fmt: skip
KEYS = {f"train.{name}": name for name in SAME.split()} | OTHER
OFF_AT_ZERO = ("neftune_noise_alpha", "loraplus_lr_ratio")
"""What the page's slider has no other way to leave out."""


def is_of_board(values: Mapping[str, Any]) -> bool:
    return any(str(key).startswith(("top.", "train.")) for key in values)


@cache
def models() -> dict[str, list[str]]:
    """Where LLaMA-Factory 0.9.5 finds the models of its list: at Hugging Face, at ModelScope."""
    return json.loads((Path(__file__).parent / "models.json").read_text("utf-8"))


def from_board(name: str, values: Any) -> dict[str, Any]:
    """By the names that its training is told: as the page itself translates them."""
    given: dict[str, Any] = {}
    for said, value in values.items():
        where = f"{name}:{values.lc.data[said][0] + 1}"
        key = KEYS.get(said, said)
        for own, what in _translated(said, key, value, values).items():
            given[own] = Given(own, what, f"{where} {said}")
    given["do_train"] = Given("do_train", True, name)
    return given


def _translated(said: str, key: str, value: Any, values: Mapping[str, Any]) -> dict[str, Any]:
    match said:
        case "train.training_stage":
            return {key: STAGES.get(value, value)}
        case "train.compute_type":
            return {"bf16": False} if value == "fp32" else {value: True}
        case "train.ds_stage":
            offload = "offload_" if values.get("train.ds_offload") else ""
            return {key: None if value == "none" else f"ds_z{value}_{offload}config.json"}
        case "train.extra_args":
            return _extra(said, value)
        case "top.booster":
            named = {"flashattn2": {"flash_attn": "fa2"}, "unsloth": {"use_unsloth": True},
                     "liger_kernel": {"enable_liger_kernel": True}}  # fmt: skip
            return named.get(value, {"flash_attn": "auto"})
        case "top.model_name":
            places = models().get(value, [value])
            at_modelscope = values.get("top.hub_name") == "modelscope" or not places[0]
            return {key: places[-1] if at_modelscope else places[0]}
        case "train.dataset" | "top.checkpoint_path" | "train.reward_model":
            return {key: ",".join(names(value)) or None}
    if key in OFF_AT_ZERO and not value:
        value = None
    return {key: value}


def _extra(said: str, value: Any) -> dict[str, Any]:
    try:
        return json.loads(value or "{}")
    except (TypeError, ValueError):
        raise MovingError(f"{said}: not JSON: {value}") from None
