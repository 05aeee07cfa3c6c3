import json
import shutil
from pathlib import Path

import pytest

from finery.sources.errors import SourceError
from finery.sources.path import fetch

SHARED_MEMORY = Path("/dev/shm")


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    return folder


def test_hard_links_the_model_and_nothing_else(model: Path, base: Path) -> None:
    for name in ("lineage.json", "pytorch_model.bin", "modeling.py", "consolidated.safetensors"):
        (model / name).write_text("{}")
    assert fetch(f"path:{model}", base) == {"source": "path:model"}
    taken = {"config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"}
    taken |= {"LICENSE", "USE_POLICY.md"}
    assert {file.name for file in base.iterdir()} == taken
    for name in taken:
        assert (base / name).stat().st_ino == (model / name).stat().st_ino


def test_python_files_come_with_remote_code(model: Path, base: Path) -> None:
    (model / "modeling.py").write_text("")
    fetch(f"path:{model}", base, remote_code=True)
    assert (base / "modeling.py").exists()


def test_links_are_followed_to_the_real_file(model: Path, base: Path) -> None:
    weights = model.parent / "blob"
    (model / "model.safetensors").rename(weights)
    (model / "model.safetensors").symlink_to(weights)
    fetch(f"path:{model}", base)
    assert not (base / "model.safetensors").is_symlink()
    assert (base / "model.safetensors").stat().st_ino == weights.stat().st_ino


def test_copies_across_filesystems(model: Path, tmp_path: Path) -> None:
    if not SHARED_MEMORY.is_dir() or SHARED_MEMORY.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("needs a second filesystem")
    base = SHARED_MEMORY / f"finery-{tmp_path.name}"
    base.mkdir()
    try:
        fetch(f"path:{model}", base)
        copy = base / "model.safetensors"
        assert copy.read_bytes() == (model / "model.safetensors").read_bytes()
        assert copy.stat().st_nlink == 1
    finally:
        shutil.rmtree(base)


def test_a_missing_folder(base: Path) -> None:
    with pytest.raises(SourceError, match="path:nowhere: no such folder"):
        fetch("path:nowhere", base)


def test_an_adapter_is_no_model(model: Path, base: Path) -> None:
    (model / "config.json").unlink()
    with pytest.raises(SourceError, match="holds no config"):
        fetch(f"path:{model}", base)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "model.pth", "last.ckpt"])
def test_pickled_weights_alone_are_refused(model: Path, base: Path, name: str) -> None:
    (model / "model.safetensors").rename(model / name)
    with pytest.raises(SourceError, match=rf"{name}.*convert it to safetensors"):
        fetch(f"path:{model}", base)
    assert list(base.iterdir()) == []


def test_no_weights_at_all(model: Path, base: Path) -> None:
    (model / "model.safetensors").unlink()
    with pytest.raises(SourceError, match=r"holds no \*\.safetensors"):
        fetch(f"path:{model}", base)


def test_a_relative_folder_is_recorded_as_written(
    model: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(model.parent)
    assert json.dumps(fetch("path:model", base)) == '{"source": "path:model"}'
