import json
from hashlib import sha256
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from finery.sources.errors import SourceError
from finery.sources.verify import verify, weight_hashes

WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"


def test_a_whole_model_passes(model: Path) -> None:
    verify(model)


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_truncated_weights_are_named(model: Path, kept: int) -> None:
    content = (model / WEIGHTS).read_bytes()
    (model / WEIGHTS).write_bytes(content[:kept])
    with pytest.raises(SourceError, match=rf"^{WEIGHTS}: truncated or damaged"):
        verify(model)


def test_weights_with_bytes_to_spare_are_named(model: Path) -> None:
    (model / WEIGHTS).write_bytes((model / WEIGHTS).read_bytes() + b"\0")
    with pytest.raises(SourceError, match=rf"^{WEIGHTS}: truncated or damaged"):
        verify(model)


def shard(model: Path) -> None:
    (model / WEIGHTS).unlink()
    weight_map = {}
    for number in (1, 2):
        name = f"model-0000{number}-of-00002.safetensors"
        save_file({f"layer.{number}": np.zeros(4, np.float32)}, model / name)
        weight_map[f"layer.{number}"] = name
    (model / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))


def test_shards_pass(model: Path) -> None:
    shard(model)
    verify(model)


def test_a_missing_shard_is_named(model: Path) -> None:
    shard(model)
    (model / "model-00002-of-00002.safetensors").unlink()
    with pytest.raises(SourceError, match=r"^model-00002-of-00002\.safetensors: missing"):
        verify(model)


def test_a_shard_without_its_tensor_is_named(model: Path) -> None:
    shard(model)
    name = "model-00002-of-00002.safetensors"
    save_file({"another": np.zeros(4, np.float32)}, model / name)
    with pytest.raises(SourceError, match=f"^{name}: lacks layer.2"):
        verify(model)


def test_shards_without_an_index(model: Path) -> None:
    shard(model)
    (model / INDEX).unlink()
    with pytest.raises(SourceError, match=f"neither model.safetensors nor {INDEX}"):
        verify(model)


@pytest.mark.parametrize("text", ["{", "[]", "{}"])
def test_a_configuration_that_is_none(model: Path, text: str) -> None:
    (model / "config.json").write_text(text)
    with pytest.raises(SourceError, match=r"^config\.json: "):
        verify(model)


def test_a_damaged_tokenizer(model: Path) -> None:
    (model / "tokenizer.json").write_text((model / "tokenizer.json").read_text()[:-50])
    with pytest.raises(SourceError, match=r"^the tokenizer does not load"):
        verify(model)


def test_no_tokenizer(model: Path) -> None:
    (model / "tokenizer.json").unlink()
    with pytest.raises(SourceError, match=r"^the tokenizer does not load") as caught:
        verify(model)
    assert "\n" not in str(caught.value)


def test_pickled_weights_are_refused(model: Path) -> None:
    (model / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(SourceError, match=r"^pytorch_model\.bin: pickled"):
        verify(model)


def test_hashes_of_the_weights(model: Path) -> None:
    content = (model / WEIGHTS).read_bytes()
    assert weight_hashes(model) == {WEIGHTS: sha256(content).hexdigest()}
