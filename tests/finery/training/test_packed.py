"""Adapters on a base model in GPTQ or AWQ, merged into the one in full precision."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from finery.merging.fidelity import compare
from finery.models.load import load_model
from finery.models.packed import PackedError, load_packed
from finery.params.merge import MergeParams
from finery.params.model import ModelParams
from finery.training.start import built
from stages.download import download
from stages.merge import merge
from tests.conftest import ROOT
from tests.finery.training.tuners.learning import LINEAR, SETTINGS, Learnt, logits, samples, stage
from tests.preferences import write_samples
from tests.steps import step

FORMATS = ("gptq", "awq")
LORA = {"type": "lora", "rank": 4, "alpha": 8}


@pytest.fixture(scope="session")
def bases(
    wide_model: Path, packed: dict[str, Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, Path]:
    """What the stage download makes of the model with each of its formats."""
    folder = tmp_path_factory.mktemp("bases")
    for name, model in packed.items():
        params = ModelParams(source=f"path:{wide_model}", quantized=f"path:{model}")
        download(params, ROOT / "templates", base=folder / name)
    return {name: folder / name for name in packed}


@pytest.mark.parametrize("name", FORMATS)
def test_every_layer_learns_whatever_is_called_first(
    name: str, bases: dict[str, Path], tmp_path: Path
) -> None:
    """GPTQModel's layers turn into others without gradients if that is in evaluation mode."""
    params = step(tuner=LORA, quantization={"method": name}, **SETTINGS)
    trainer = built(params, bases[name], samples(tmp_path / "data"), tmp_path / "none")
    model = trainer.model.eval()
    logits(model)
    model.train()(torch.tensor([[5, 9, 12]]), labels=torch.tensor([[5, 9, 12]])).loss.backward()
    norms = [w.grad.norm() for n, w in model.named_parameters() if "lora_B" in n]
    assert len(norms) == len(LINEAR) and all(norm > 0 for norm in norms)


@pytest.mark.parametrize("name", FORMATS)
def test_it_is_trained_on_four_bits_and_merged_into_full_precision(
    name: str, bases: dict[str, Path], tmp_path: Path, capsys: Any
) -> None:
    base, words = bases[name], f"{name.upper()}, 4 bits"
    params = step(tuner=LORA, quantization={"method": name}, **SETTINGS)
    data = samples(tmp_path / "data")
    whole = Learnt(params, base, tmp_path / "whole")
    stage(whole, data, tmp_path / "none")
    assert whole.losses[-1] < whole.losses[0] - 0.01

    trainer = built(params, base, data, tmp_path / "all")
    trainer.args.save_total_limit = None
    before = {n: w.clone() for n, w in trainer.model.named_buffers()}
    trainer.train()
    assert all(w.equal(before[n]) for n, w in trainer.model.named_buffers())
    for number in (2, 4):
        resumed = Learnt(params, base, tmp_path / f"resumed-{number}")
        checkpoint = f"checkpoint-{number}"
        shutil.copytree(tmp_path / "all" / checkpoint, tmp_path / f"some-{number}" / checkpoint)
        stage(resumed, data, tmp_path / f"some-{number}")
        assert resumed.files == whole.files

    capsys.readouterr()
    merge(
        MergeParams(step="sft", dtype="float32"), "sft", base, whole.adapter, data,
        merged=whole.merged, metrics=tmp_path / "merge.json",
    )  # fmt: skip
    assert f"in full precision; it was trained on it in {words}\n" in capsys.readouterr().out
    report = json.loads((tmp_path / "merge.json").read_text())
    assert report["trained_on"] == words
    assert whole.changed == LINEAR and "quantization_config" not in config(whole.merged)
    full = PeftModel.from_pretrained(load_model(base, "float32"), whole.adapter).eval()
    for expected, merged in zip(logits(full), whole.logits(), strict=True):
        torch.testing.assert_close(merged, expected, rtol=0, atol=2e-5)

    probes = [torch.tensor([row]) for row in rows_of(data)]
    trainer.model.eval()
    with torch.inference_mode():
        trained = [trainer.model(row).logits[0] for row in probes]
        dense = [load_model(whole.merged, "float32")(row).logits[0] for row in probes]
    measured = compare(trained, dense)
    assert 0.01 < measured["relative_difference"] < 0.3
    assert report["trained"] == pytest.approx(measured, rel=1e-4, abs=1e-6)


def config(model: Path) -> dict[str, Any]:
    return json.loads((model / "config.json").read_text())


def rows_of(data: Path) -> list[list[int]]:
    from finery.data.prepared import read_parquet

    return [sample["input_ids"] for sample in read_parquet(data / "calibration.parquet")[:8]]


def test_dpo_compares_with_the_model_in_its_four_bits(
    bases: dict[str, Path], tmp_path: Path
) -> None:
    settings = SETTINGS | {"method": "dpo", "learning_rate": 1e-2}
    params = step(tuner=LORA, quantization={"method": "gptq"}, **settings)
    learnt = Learnt(params, bases["gptq"], tmp_path / "learnt")
    (tmp_path / "data").mkdir()
    stage(learnt, write_samples(tmp_path / "data", "dpo", 10), tmp_path / "none")
    assert learnt.losses[0] == pytest.approx(0.6931, abs=1e-4)  # both are the same at first
    assert learnt.losses[-1] < learnt.losses[0] - 0.01


def test_of_another_model(bases: dict[str, Path], tmp_path: Path) -> None:
    """Of the same shape, which only the weights tell."""
    start = tmp_path / "base"
    shutil.copytree(bases["gptq"], start)
    load_packed(start, "float32")
    model = load_model(start, "bfloat16")
    torch.manual_seed(1)
    torch.nn.init.normal_(model.model.embed_tokens.weight, std=0.02)
    model.save_pretrained(start)
    with pytest.raises(
        PackedError, match=r"embed_tokens.weight is not that of .* set model.source"
    ):
        load_packed(start, "float32")
    shutil.rmtree(start / "quantized")
    with pytest.raises(PackedError, match=r"quantized: missing; run `dvc repro -f download`"):
        load_packed(start, "float32")
