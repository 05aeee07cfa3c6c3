"""Model folders of any kind, made in milliseconds without torch, and a project to check."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ruamel.yaml import YAML
from safetensors.numpy import save_file
from tokenizers import AddedToken, Tokenizer, models

from finery.check.settings import check
from finery.params.schema import ParamsError

ROOT = Path(__file__).resolve().parents[3]
CHATML = (ROOT / "templates/chatml.jinja").read_text()
LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 30,
    "hidden_size": 64,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
}
LAYERS = ("self_attn.q_proj", "self_attn.k_proj", "mlp.gate_proj", "mlp.down_proj")
WEIGHTS = {
    "model.embed_tokens.weight": (30, 64),
    "model.norm.weight": (64,),
    "model.layers.0.input_layernorm.weight": (64,),
    **{f"model.layers.0.{name}.weight": (64, 64) for name in LAYERS},
}
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")


def make(
    folder: Path,
    config: dict[str, Any] | None = None,
    weights: dict[str, tuple[int, ...]] | None = None,
    special: tuple[str, ...] = SPECIAL,
    template: str | list | None = CHATML,
    **tokenizer: Any,
) -> Path:
    """A model folder: a tied Llama whose tokenizer knows ChatML, except for what is given."""
    folder.mkdir(parents=True, exist_ok=True)
    config = LLAMA if config is None else config
    (folder / "config.json").write_text(json.dumps(config))
    arrays = {n: np.zeros(s, np.float16) for n, s in (weights or WEIGHTS).items()}
    save_file(arrays, folder / "model.safetensors")
    words = [*special, *"abcdefghijklmnopqrstuvwxyz"]
    core = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    core.add_special_tokens([AddedToken(word, special=True) for word in special])
    core.save(str(folder / "tokenizer.json"))
    settings = {"eos_token": special[0] if special else None, "chat_template": template}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings | tokenizer))
    return folder


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The present folder: the shipped settings, but for a model in `tiny`."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "templates", tmp_path / "templates")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    change(**{"model.source": "path:tiny", "model.sha256": None})
    return tmp_path


def change(**settings: Any) -> None:
    """Set keys of params.yaml, such as `model.source`."""
    yaml, file = YAML(), Path("params.yaml")
    values = yaml.load(file)
    for key, value in settings.items():
        *sections, last = key.split(".")
        place = values
        for section in sections:
            place = place[section]
        place[last] = value
    yaml.dump(values, file)


def problems() -> list[str]:
    """What `check` finds wrong, without the name of the file; nothing if all is well."""
    try:
        check(Path("params.yaml"))
    except ParamsError as error:
        return [line.removeprefix("params.yaml: ") for line in error.problems]
    return []
