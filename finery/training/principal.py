"""Adapters that begin as a part of the model (PiSSA, OLoRA), made plain LoRA adapters at the end.

PEFT takes that part out of the model's weights at the start, and computes it anew wherever such an
adapter is loaded: from weights that may have been rounded since, or by chance (pissa_niter). What
was learnt is the difference of the adapter then and now, an adapter of twice the rank.
"""

import json
from pathlib import Path
from typing import Any

ADAPTER = "default"


def principal_parts(model: Any) -> dict[str, tuple[Any, Any]]:
    """A and B of each layer as they begin, if as a part of the model; otherwise nothing."""
    config = getattr(model, "peft_config", {}).get(ADAPTER)
    if not str(getattr(config, "init_lora_weights", "")).startswith(("pissa", "olora")):
        return {}
    return {name: (a.cpu().clone(), b.cpu().clone()) for name, _, a, b in _layers(model)}


def make_plain(model: Any, begun: dict[str, tuple[Any, Any]], folder: Path) -> None:
    """Rewrite the adapter in `folder` to W + s B A - s B0 A0, by what `principal_parts` kept.

    The scale s goes into B, so that one of the same form does for every rank and for rsLoRA.
    """
    import torch
    from safetensors.torch import load_file, save_file

    file, settings = folder / "adapter_model.safetensors", folder / "adapter_config.json"
    weights, ranks = load_file(file), {}
    for name, scale, a, b in _layers(model):
        a0, b0 = begun[name]
        weights[f"{name}.lora_A.weight"] = torch.cat([a.cpu(), a0], dim=0)
        weights[f"{name}.lora_B.weight"] = torch.cat([b.cpu(), -b0], dim=1) * scale
        ranks[name.removeprefix("base_model.model.")] = 2 * len(a)
    save_file(weights, file, {"format": "pt"})
    config = json.loads(settings.read_text())
    rank = max(ranks.values())
    others = {name: each for name, each in ranks.items() if each != rank}
    config |= {"r": rank, "lora_alpha": rank, "rank_pattern": others, "alpha_pattern": others}
    config |= {"init_lora_weights": True, "use_rslora": False}
    settings.write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


def _layers(model: Any) -> Any:
    """Name, scale, A and B of each layer with an adapter."""
    for name, part in model.named_modules():
        if ADAPTER in getattr(part, "lora_A", ()):
            a, b = (side[ADAPTER].weight.detach() for side in (part.lora_A, part.lora_B))
            yield name, part.scaling[ADAPTER], a, b
