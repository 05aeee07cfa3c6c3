"""Types of weights that a llama.cpp library makes, if there is one."""

import os
import shutil
from pathlib import Path

import pytest

from finery.models.gguf.errors import GgufError
from finery.models.gguf.library import VARIABLE, find_library, requantize

LIBRARY = os.environ.get(VARIABLE)


def test_no_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    with pytest.raises(GgufError, match=r"^q4_k_m needs a llama\.cpp library; set FINERY_LLA"):
        find_library("q4_k_m")
    monkeypatch.setenv(VARIABLE, str(tmp_path / "libllama.so"))
    with pytest.raises(GgufError, match=r"libllama\.so: no such file; name a libllama.so$"):
        find_library("q4_k_m")


def test_another_library(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Python's own of JSON: it loads, and has no such function."""
    import _json

    monkeypatch.setenv(VARIABLE, _json.__file__)
    with pytest.raises(GgufError, match=r"_json.*no llama\.cpp library .*: ") as error:
        requantize(tmp_path / "exact.gguf", tmp_path / "model.gguf", "q4_k_m")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not LIBRARY, reason=f"{VARIABLE} names no llama.cpp library")
def test_fewer_bits_are_made_and_read(
    gguf_file: Path, stopping_model: Path, tmp_path: Path
) -> None:
    import torch

    from finery.inference.loading import load_for_inference

    shutil.copytree(stopping_model, tmp_path / "few", ignore=shutil.ignore_patterns("*.safet*"))
    requantize(gguf_file, tmp_path / "few/model.gguf", "q4_k_m")
    requantize(gguf_file, tmp_path / "again.gguf", "q4_k_m")
    made = (tmp_path / "few/model.gguf").read_bytes()
    assert made == (tmp_path / "again.gguf").read_bytes()
    assert len(made) < gguf_file.stat().st_size / 3
    ids = torch.tensor([list(range(5, 45))])
    expected, actual = (
        load_for_inference(folder)(input_ids=ids).logits
        for folder in (stopping_model, tmp_path / "few")
    )
    assert 1e-4 < ((expected - actual).norm() / expected.norm()).item() < 0.1
