"""GPUs: what nvidia-smi says against the build of torch, and against the model."""

import re
from pathlib import Path

import pytest

from finery.check.nvidia import Card, Cards, cards
from finery.check.torch_build import TorchBuild, torch_build
from finery.doctor.finding import Finding
from finery.doctor.gpu import gpu
from finery.doctor.memory import memory
from finery.doctor.several_gpus import several_gpus
from finery.models.load import cpu_has_bf16
from finery.params.schema import Params, load

from .conftest import a_model, change, executable, first_on_path, nvidia_smi

GB = 10**9
GEFORCE = "NVIDIA GeForce RTX 4090"


@pytest.fixture
def bin(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PATH", first_on_path(tmp_path / "bin"))
    return tmp_path / "bin"


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Puts another torch's version file before the installed one."""
    import sys

    def write(version: str, cuda: str | None) -> None:
        folder = tmp_path / f"torch-{version}/torch"
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        text = f"from typing import Optional\n__version__ = {version!r}\n"
        (folder / "version.py").write_text(f"{text}cuda: Optional[str] = {cuda!r}\n")
        monkeypatch.delitem(sys.modules, "torch", raising=False)
        monkeypatch.syspath_prepend(folder.parent)

    return write


def about(found: list[Finding], check: str) -> Finding:
    (finding,) = (f for f in found if f.check == check)
    return finding


def several(count: int, name: str = GEFORCE) -> Cards:
    return Cards([Card(name, 24 * GB, 0)] * count, driver="580.65.06", cuda="13.0")


def test_what_nvidia_smi_lists(bin: Path, monkeypatch: pytest.MonkeyPatch):
    nvidia_smi(bin, "535.183.01", "12.2", f"{GEFORCE}, 24564, 512", f"{GEFORCE}, 24564, 0")
    found = cards()
    assert found == Cards(
        [Card(GEFORCE, 24564 * 2**20, 512 * 2**20), Card(GEFORCE, 24564 * 2**20, 0)],
        driver="535.183.01",
        cuda="12.2",
    )
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert cards() is None


def test_a_card_that_shares_the_machines_memory(bin: Path):
    nvidia_smi(bin, "580.65.06", "13.0", "NVIDIA GB10, [N/A], [N/A]")
    assert cards().cards == [Card("NVIDIA GB10", 0, 0)]


def test_a_driver_that_does_not_answer(bin: Path):
    executable(bin / "nvidia-smi", "echo 'Driver/library version mismatch'; exit 18")
    found, usable = gpu(load(Path("params.yaml")), cards())
    assert not usable
    assert "Driver/library version mismatch" in about(found, "GPU").what


def test_the_installed_torch_is_read_and_not_imported():
    import torch

    assert torch_build() == TorchBuild(torch.__version__, torch.version.cuda, torch.version.hip)


@pytest.mark.parametrize(
    "driver, wheel", [("580.65.06", "cu130"), ("535.183.01", "cu126"), ("470.57.02", None)]
)
def test_a_card_and_a_torch_for_the_cpu(bin: Path, built, driver: str, wheel: str | None):
    built("2.13.0+cpu", None)
    nvidia_smi(bin, driver, "", f"{GEFORCE}, 24564, 0")
    found, usable = gpu(load(Path("params.yaml")), cards())
    finding = about(found, "GPU")
    assert (usable, finding.level) == (False, "note")
    assert finding.advice == (
        f"pip install torch==2.13.0+{wheel}"
        f" --extra-index-url https://download.pytorch.org/whl/{wheel}"
        if wheel
        else "update the driver to 580 or newer"
    )


def test_a_driver_too_old_for_the_build(bin: Path, built):
    built("2.13.0", "13.0")
    nvidia_smi(bin, "535.183.01", "12.2", f"{GEFORCE}, 24564, 0")
    found, usable = gpu(load(Path("params.yaml")), cards())
    finding = about(found, "GPU")
    assert (usable, finding.level) == (False, "note")
    assert "driver 535.183.01 (CUDA 12.2) is too old for torch built for CUDA 13.0" in finding.what
    assert finding.advice.startswith("update the driver to 580 or newer, or pip install")
    assert "cu126" in finding.advice


@pytest.mark.parametrize("precision, level", [("bf16", "problem"), ("fp16", "note")])
def test_a_precision_that_wants_a_gpu(project: Path, precision: str, level: str):
    found, _ = gpu(change({"train.sft.precision": precision}), None)
    if precision == "bf16" and cpu_has_bf16():
        assert [f for f in found if f.check == "precision"] == []
    else:
        assert about(found, "precision").level == level


def test_no_gpu_is_no_obstacle(project: Path):
    found, usable = gpu(load(Path("params.yaml")), None)
    assert (usable, [f.level for f in found]) == (False, ["note"])


@pytest.mark.parametrize("cards", [several(1), several(2, "NVIDIA H100 80GB HBM3")])
def test_other_cards_do_not(project: Path, cards: Cards):
    assert list(several_gpus(load(Path("params.yaml")), cards)) == []


def test_more_accelerators_than_there_are(project: Path):
    params = change({"resources.accelerators": 4})
    found = list(several_gpus(params, several(1)))
    assert about(found, "resources").what == ("resources.accelerators is 4, and this machine has 1")


def a_billion(layers: int = 16) -> None:
    """Replace the model by one of a billion weights, 65536 x 1024 each of 16 linear layers."""
    shapes = {f"model.layers.{i}.mlp.weight": [65536, 1024] for i in range(layers)}
    a_model(Path("large"), shapes, hidden_size=1024, num_hidden_layers=layers, vocab_size=1000)


@pytest.mark.parametrize(
    "total, used, level, said",
    [
        (24 * GB, 0, "ok", "train.sft takes about"),
        (24 * GB, 20 * GB, "note", "20.0 GB of it taken now"),
        (2 * GB, 0, "problem", "weights 2."),
    ],
)
def test_the_memory_of_a_card(project: Path, total: int, used: int, level: str, said: str):
    a_billion()
    params = change({"model.source": "path:large", "data.cutoff_len": 512})
    found = about(list(memory(params, Cards([Card(GEFORCE, total, used)]))), "GPU memory")
    assert (found.level, found.advice == "") == (level, level == "ok")
    assert said in found.what and f"of the {total / GB:.1f} GB of {GEFORCE}" in found.what


def test_a_card_that_may_be_too_small(project: Path):
    a_billion()
    params = change({"model.source": "path:large"})
    need = re.search(r"about ([\d.]+) GB", the_card(params, 100 * GB).what)[1]
    found = the_card(params, int(float(need) * GB / 1.1))
    assert found.level == "note" and "it may run out" in found.what
    assert "it fits with train.sft.gradient_checkpointing: true" in found.advice


def the_card(params: Params, total: int) -> Finding:
    return about(list(memory(params, Cards([Card(GEFORCE, total, 0)]))), "GPU memory")


def test_the_memory_of_the_machine(project: Path):
    params = load(Path("params.yaml"))
    assert about(list(memory(params, None)), "memory").level == "ok"
    a_model(Path("huge"), {"model.layers.0.mlp.weight": [10**6, 10**6]})
    found = about(list(memory(change({"model.source": "path:huge"}), None)), "memory")
    assert found.level == "problem"
    assert "weights 4000 GB" in found.what
    assert found.advice.startswith("no setting makes it fit")
