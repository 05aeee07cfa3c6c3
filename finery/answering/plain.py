"""Models whose files have each weight as the model has it: read without what converts others.

transformers gets ready to convert the weights of every architecture that it knows, for whichever
it loads, which takes longer than a small model itself.
"""

from pathlib import Path
from typing import Any

from finery.models.settings import CONFIG, read_settings

FAMILIES = {"llama": "Llama", "mistral": "Mistral", "qwen2": "Qwen2", "qwen3": "Qwen3"}
WEIGHTS = "model*.safetensors"


def load_plain(folder: Path) -> Any:
    """The model of a folder on its device, just as `load_for_inference` would load it.

    None if it is of another family, in few bits, or its files have other weights than the model.
    """
    config = read_settings(folder / CONFIG)
    family = FAMILIES.get(config.get("model_type", ""))
    if not family or config.keys() & {"quantization_config", "auto_map"}:
        return None
    if config.get("architectures") != [f"{family}ForCausalLM"]:
        return None
    from finery.models.load import compute_dtype, device

    model = _empty(folder, config["model_type"], family, compute_dtype())
    shared = set(model._tied_weights_keys or ()) if model.config.tie_word_embeddings else set()
    found = _weights(folder, next(model.parameters()).dtype)
    if not found.keys() <= (wanted := model.state_dict()).keys() <= found.keys() | shared:
        return None
    if any(weight.shape != wanted[name].shape for name, weight in found.items()):
        return None
    model.load_state_dict(found, strict=False, assign=True)
    model.tie_weights()
    return model.to(device()).eval()


def _empty(folder: Path, name: str, family: str, dtype: str) -> Any:
    """The model without its weights, whose memory nobody has touched."""
    from importlib import import_module

    import torch
    from transformers.generation.configuration_utils import GenerationConfig
    from transformers.initialization import no_init_weights

    parts = f"transformers.models.{name}"
    settings = getattr(import_module(f"{parts}.configuration_{name}"), f"{family}Config")
    kind = getattr(import_module(f"{parts}.modeling_{name}"), f"{family}ForCausalLM")
    with no_init_weights():
        config = settings.from_pretrained(folder, local_files_only=True)
        config._name_or_path = str(folder)
        model = kind._from_config(config, dtype=getattr(torch, dtype))
    if (folder / "generation_config.json").is_file():
        model.generation_config = GenerationConfig.from_pretrained(folder, local_files_only=True)
    return model


def _weights(folder: Path, dtype: Any) -> dict[str, Any]:
    from safetensors.torch import load_file

    files = sorted(folder.glob(WEIGHTS))
    return {name: each.to(dtype) for file in files for name, each in load_file(file).items()}
