"""The saved adapter is the same bytes in every process."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def save(base: Path, folder: Path) -> None:
    import torch
    from peft import LoraConfig, get_peft_model

    from finery.models.load import load_model
    from finery.training.adapter import save_adapter

    torch.manual_seed(0)
    config = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    save_adapter(get_peft_model(load_model(base, "float32"), config), Path("models/base"), folder)


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_whatever_the_hash_seed_of_python(tiny_model: Path, tmp_path: Path):
    save(tiny_model, tmp_path / "here")
    environment = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "1"}
    command = [sys.executable, __file__, str(tiny_model), str(tmp_path / "there")]
    subprocess.run(command, env=environment, capture_output=True, check=True, timeout=120)
    here = contents(tmp_path / "here")
    assert here.keys() == {"adapter_config.json", "adapter_model.safetensors"}
    assert here == contents(tmp_path / "there")
    config = json.loads(here["adapter_config.json"])
    assert config["base_model_name_or_path"] == "models/base"
    layers = ("mlp.down", "mlp.gate", "mlp.up", "self_attn.k", "self_attn.o", "self_attn.q",
              "self_attn.v")  # fmt: skip
    assert config["target_modules"] == [
        f"model.layers.{block}.{layer}_proj" for block in (0, 1) for layer in layers
    ]


if __name__ == "__main__":
    save(*map(Path, sys.argv[1:]))
