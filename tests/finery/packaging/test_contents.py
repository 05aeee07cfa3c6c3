"""What goes into a package, what stays behind, what is refused."""

import json
import pickle
from pathlib import Path

import pytest

from finery.packaging.contents import place
from finery.packaging.errors import PackageError


def test_weights_are_linked_and_small_files_copied(model: Path, tmp_path: Path):
    package = tmp_path / "package"
    package.mkdir()
    place(model, package)
    assert (package / "model.safetensors").samefile(model / "model.safetensors")
    assert not (package / "config.json").samefile(model / "config.json")
    assert (package / "config.json").read_bytes() == (model / "config.json").read_bytes()


def test_a_link_into_a_cache_becomes_a_file(model: Path, tmp_path: Path):
    """DVC may link symbolically; a package must not lean on somebody's cache."""
    package, cached = tmp_path / "package", tmp_path / "cached"
    package.mkdir()
    (model / "model.safetensors").rename(cached)
    (model / "model.safetensors").symlink_to(cached)
    place(model, package)
    assert not (package / "model.safetensors").is_symlink()
    assert (package / "model.safetensors").samefile(cached)


def test_licences_and_notices_go_along(model: Path, tmp_path: Path):
    names = ["License.txt", "NOTICE", "USE_POLICY.md", "模型许可协议.pdf"]
    for name in [*names, "README.md"]:
        (model / name).write_text(name, encoding="utf-8")
    package = tmp_path / "package"
    package.mkdir()
    place(model, package)
    assert [name for name in [*names, "README.md"] if (package / name).exists()] == names
    assert not (package / "NOTICE").samefile(model / "NOTICE")


def test_leftovers_of_training_stay_behind(model: Path, tmp_path: Path):
    for name in ("checkpoint-40/optimizer.safetensors", "trainer_state.json", "lineage.json"):
        (model / name).parent.mkdir(exist_ok=True)
        (model / name).write_bytes((model / "model.safetensors").read_bytes())
    package = tmp_path / "package"
    package.mkdir()
    place(model, package)
    assert sorted(file.name for file in package.rglob("*")) == [
        "chat_template.jinja",
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]


@pytest.mark.parametrize(
    "name, content",
    [
        ("pytorch_model.bin", b"anything"),
        ("checkpoint-40/optimizer.PT", b"anything"),
        ("extra.safetensors", pickle.dumps([1] * 700)),
        ("tokenizer.model", pickle.dumps({"a": 1})),
        ("weights", b"PK\x03\x04 a zip, as torch.save writes"),
    ],
)
def test_pickles_are_refused_whatever_their_name(model: Path, tmp_path: Path, name, content):
    (model / name).parent.mkdir(exist_ok=True)
    (model / name).write_bytes(content)
    with pytest.raises(PackageError, match=f"model: {name}: a pickle can run code"):
        place(model, tmp_path)
    assert not (tmp_path / "config.json").exists()


def test_a_safetensors_header_that_looks_like_a_pickle_is_none(model: Path, tmp_path: Path):
    header = b'{"__metadata__":{"a":"' + b"x" * (0x280 - 25) + b'"}}'
    file = model / "b.safetensors"
    file.write_bytes(len(header).to_bytes(8, "little") + header)
    assert file.read_bytes()[:2] == b"\x80\x02"
    place(model, tmp_path)
    assert (tmp_path / "b.safetensors").exists()


def test_a_missing_shard_is_named(model: Path, tmp_path: Path):
    index = {"weight_map": {"a": "model.safetensors", "b": "model-2.safetensors"}}
    (model / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(PackageError, match=r"names model-2\.safetensors, which is missing"):
        place(model, tmp_path)


@pytest.mark.parametrize(
    "name, message",
    [
        ("model.safetensors", "no other weights are packaged"),
        ("config.json", r"config\.json: missing; it takes a whole model"),
    ],
)
def test_half_a_model_is_refused(model: Path, tmp_path: Path, name: str, message: str):
    (model / name).unlink()
    with pytest.raises(PackageError, match=message):
        place(model, tmp_path)
