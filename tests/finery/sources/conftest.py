"""A model folder made without torch, and a hub that serves it."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from tokenizers import Tokenizer, models, pre_tokenizers

from .hub import Hub

CHATML = Path(__file__).resolve().parents[3] / "templates" / "chatml.jinja"
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


@pytest.fixture(scope="session")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("built") / "model"
    folder.mkdir()
    letters = {letter: 3 + number for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}
    core = Tokenizer(
        models.BPE(vocab=letters | dict(zip(SPECIAL, range(3), strict=True)), merges=[])
    )
    core.pre_tokenizer = pre_tokenizers.Whitespace()
    core.add_special_tokens(SPECIAL)
    core.save(str(folder / "tokenizer.json"))
    weights = np.random.default_rng(0).standard_normal((29, 2000), dtype=np.float32)
    save_file({"model.embed_tokens.weight": weights}, folder / "model.safetensors")
    config = {"model_type": "llama", "bos_token_id": 1, "eos_token_id": 0, "vocab_size": 29}
    (folder / "config.json").write_text(json.dumps(config))
    tokenizer = {"eos_token": "<|endoftext|>", "chat_template": CHATML.read_text()}
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    (folder / "README.md").write_text("not part of the model")
    (folder / "LICENSE").write_text("Do what you like.")
    (folder / "USE_POLICY.md").write_text("But no harm.")
    return folder


@pytest.fixture
def model(built: Path, tmp_path: Path) -> Path:
    """A folder of one's own, to damage."""
    return Path(shutil.copytree(built, tmp_path / "model"))


@pytest.fixture
def hub(built: Path) -> Iterator[Hub]:
    """A hub on a loopback port that has that model as acme/tiny."""
    with Hub({file.name: file.read_bytes() for file in built.iterdir()}) as served:
        yield served
