"""The YAML of LLaMA-Factory's v1 (USE_V1=1), by the names that 0.9 has for the same."""

from collections.abc import Mapping
from typing import Any

from finery.moving.llamafactory.files.given import Given

PLAIN = {
    "model": "model_name_or_path", "train_dataset": "dataset",
    "micro_batch_size": "per_device_train_batch_size",
}  # fmt: skip
"""What has another name, and the same meaning."""
INNER = {
    ("peft_config", "lora"): {
        "name": "finetuning_type", "r": "lora_rank", "lora_alpha": "lora_alpha",
        "lora_dropout": "lora_dropout", "target_modules": "lora_target",
        "modules_to_save": "additional_target", "use_rslora": "use_rslora",
        "use_dora": "use_dora", "adapter_name_or_path": "adapter_name_or_path",
        "export_dir": "export_dir", "export_size": "export_size",
        "export_legacy_format": "export_legacy_format", "infer_dtype": "infer_dtype",
        "export_hub_model_id": "export_hub_model_id",
    },
    ("peft_config", "freeze"): {
        "name": "finetuning_type", "freeze_trainable_layers": "freeze_trainable_layers",
        "freeze_trainable_modules": "freeze_trainable_modules",
        "freeze_extra_modules": "freeze_extra_modules",
    },
    ("quant_config", "bnb"): {
        "name": "quantization_method", "quantization_bit": "quantization_bit",
        "quantization_type": "quantization_type", "double_quantization": "double_quantization",
    },
    ("lr_scheduler_config", ""): {"name": "lr_scheduler_type"},
    ("optim_config", ""): {"name": "optim"},
}  # fmt: skip
MARKS = ("peft_config", "kernel_config", "dist_config", "quant_config", "init_config",
         "train_dataset", "optim_config", "micro_batch_size", "sample_backend")  # fmt: skip
SHARING = {"deepspeed": "deepspeed", "fsdp2": "fsdp"}


def is_of_v1(values: Mapping[str, Any]) -> bool:
    return "model_name_or_path" not in values and any(mark in values for mark in MARKS)


def from_v1(name: str, values: Any) -> dict[str, Any]:
    """Its keys one by one; those of its plugins behind the plugin's name."""
    given: dict[str, Any] = {}

    def put(key: str, value: Any, said: str, line: int) -> None:
        given[key] = Given(key, value, f"{name}:{line + 1} {said}")

    for said, value in values.items():
        line = values.lc.data[said][0]
        if isinstance(value, dict):
            _plugin(put, said, value, line)
        else:
            put(PLAIN.get(said, said), value, said, line)
    if "peft_config" not in values and "dataset" in given:
        put("finetuning_type", "full", "without peft_config", 0)
    if "stage" not in given and "dataset" in given:
        put("stage", "sft", "of llamafactory-cli sft", 0)
    defaults = {
        "per_device_train_batch_size": 1,
        "learning_rate": 1e-4,
        "template": "qwen3_nothink",
    }
    for key, value in defaults.items():
        if key not in given and "dataset" in given:
            given[key] = Given(key, value, f"{name}, v1's default")
    return given


def _plugin(put: Any, said: str, value: Mapping[str, Any], line: int) -> None:
    kind = str(value.get("name", ""))
    inner = INNER.get((said, kind)) or INNER.get((said, ""), {})
    if said == "dist_config" and kind in SHARING:
        put(SHARING[kind], value.get("config_file") or "full_shard", f"{said}.name", line)
        return
    for key, what in value.items():
        put(inner.get(key, f"{said}.{key}"), what, f"{said}.{key}", line)
