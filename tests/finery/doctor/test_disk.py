"""Room on the disk, and links from DVC's cache."""

import shutil
from pathlib import Path

import pytest

from finery.doctor.disk import artefact_bytes, disk
from finery.doctor.finding import Finding
from finery.doctor.model_size import model_size
from finery.params.schema import load

from .conftest import a_model, change


def about(check: str, **settings: object) -> Finding:
    params = change(settings) if settings else load(Path("params.yaml"))
    (finding,) = (f for f in disk(params) if f.check == check)
    return finding


def test_a_small_model_fits(project: Path):
    found = about("disk")
    assert found.level == "ok" and "the run needs about 0.0 GB more" in found.what


def test_a_model_that_does_not_fit(project: Path):
    side = int(shutil.disk_usage(".").free ** 0.5)
    a_model(Path("huge"), {"model.layers.0.mlp.weight": [side, side]})
    found = about("disk", **{"model.source": "path:huge"})
    assert found.level == "problem" and "the run needs about" in found.what
    assert "dvc gc" in found.advice


def test_what_is_made_needs_no_more_room(project: Path):
    """All of it takes 7 bytes a weight, training anew 5, and the copy while it quantizes 2."""
    side = int((shutil.disk_usage(".").free / 4) ** 0.5)
    a_model(Path("huge"), {"model.layers.0.mlp.weight": [side, side]})
    assert about("disk", **{"model.source": "path:huge"}).level == "problem"
    for name in ("base", "sft", "gptq", "awq"):
        Path("models", name).mkdir(parents=True)
    found = about("disk")
    assert found.level == "note" and "another training needs about" in found.what


def test_the_sizes_of_the_artefacts(project: Path):
    a_model(
        Path("m"),
        {"model.layers.0.mlp.weight": [128, 64], "model.embed.weight": [1000, 64]},
        hidden_size=64, num_hidden_layers=1, vocab_size=1000,
    )  # fmt: skip
    params = change({"model.source": "path:m", "merge.dtype": "float32"})
    size = model_size(params)
    packed = 128 * 64 // 2 + 128 * 64 // 64 * 4 + 64000 * 2
    assert artefact_bytes(size, params) == {
        "base": 72192 * 2, "sft": 72192 * 4, "gptq": packed, "awq": packed,
        "adapters/sft": 16 * (128 + 64) * 4,
    }  # fmt: skip


def test_what_a_step_trains_of_the_model_itself_is_kept_too(project: Path):
    a_model(
        Path("m"),
        {"model.layers.0.mlp.weight": [128, 64], "model.embed.weight": [1000, 64]},
        hidden_size=64, num_hidden_layers=1, vocab_size=1000,
    )  # fmt: skip
    params = change({"model.source": "path:m", "train.sft.tuner": {"type": "full"}})
    assert artefact_bytes(model_size(params), params)["adapters/sft"] == 72192 * 4
    params = change({"train.sft.tuner": {"type": "freeze", "trainable_layers": 1}})
    assert artefact_bytes(model_size(params), params)["adapters/sft"] == 128 * 64 * 4


def test_the_first_link_that_works(project: Path):
    assert about("DVC cache").what.startswith("hardlink from ")
    Path(".dvc/config").write_text("[cache]\n    type = symlink\n")
    assert about("DVC cache").what.startswith("symlink from ")


def test_copies_take_twice_the_room(project: Path):
    Path(".dvc/config").write_text("[cache]\n    type = copy\n")
    found = about("DVC cache")
    assert found.level == "note" and "stored twice" in found.what


def test_a_cache_that_cannot_be_written_to(project: Path):
    Path(".dvc/config").write_text("[cache]\n    dir = /proc/nowhere\n")
    found = next(f for f in disk(load(Path("params.yaml"))) if f.level == "problem")
    assert "cannot write to /proc" in found.what


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="needs a second file system")
def test_a_cache_on_another_disk(project: Path, tmp_path: Path):
    if Path("/dev/shm").stat().st_dev == project.stat().st_dev:
        pytest.skip("one file system")
    Path(".dvc/config").write_text("[cache]\n    dir = /dev/shm\n    type = hardlink,copy\n")
    found = about("DVC cache")
    assert found.level == "note" and "/dev/shm is on another disk" in found.what
