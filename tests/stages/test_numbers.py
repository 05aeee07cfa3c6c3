"""A model with a weight that is no number stops at the stage that would read it, in one line."""

import json
import math
import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file

from finery import lineage
from finery.data.prepared import write_parquet
from finery.models.finite import WeightError
from finery.models.load import load_model
from finery.params.evaluate import EvaluateParams
from finery.params.merge import MergeParams
from finery.params.quantize import GptqParams, QuantizeParams
from finery.quantization.calibration import CalibrationError, calibration
from stages.evaluate import evaluate
from stages.merge import merge
from stages.quantize import quantize

LENGTHS = [12, 3, 40, 10, 2]
TENSOR = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def broken(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model one of whose weights is NaN."""
    folder = tmp_path_factory.mktemp("broken") / "model"
    shutil.copytree(tiny_model, folder)
    weights = load_file(folder / "model.safetensors")
    weights[TENSOR][3, 5] = math.nan
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def made_by(stage: str, model: Path, folder: Path) -> Path:
    """The same model as an artefact of a stage."""
    shutil.copytree(model, folder)
    records = {"download": {}, "prepare@sft": {}, stage: {}}
    (folder / lineage.LINEAGE).write_text(json.dumps(records))
    return folder


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Calibration samples, three of them short."""
    samples = [
        {"dataset": "boats", "input_ids": list(range(5, 5 + n)), "labels": [-100] * n}
        for n in LENGTHS
    ]
    write_parquet(tmp_path / "data" / "calibration.parquet", "samples", samples)
    return tmp_path / "data"


@pytest.fixture
def adapter(tiny_model: Path, tmp_path: Path) -> Path:
    """An adapter as PEFT begins it."""
    model = get_peft_model(load_model(tiny_model, "float32"), LoraConfig(r=2))
    model.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


def test_evaluate(broken: Path, tmp_path: Path):
    outputs = {"samples": tmp_path / "samples.jsonl", "metrics": tmp_path / "metrics.json"}
    row = {"dataset": "d", "question": "?", "reference": "!", "calls": False, "keywords": []}
    tokens = {"prompt_ids": [1], "input_ids": [1, 2], "labels": [-100, 2]}
    write_parquet(tmp_path / "tests/test.parquet", "tests", [row | tokens])
    with pytest.raises(WeightError, match=f"safetensors: {TENSOR} holds NaN or infinity; "):
        evaluate(EvaluateParams(), broken, tmp_path / "tests", tmp_path, **outputs)


def test_merge(broken: Path, adapter: Path, data: Path, tmp_path: Path):
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = None
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    outputs = {"merged": tmp_path / "merged", "metrics": tmp_path / "metrics.json"}
    with pytest.raises(WeightError, match=rf"{TENSOR} holds .*; take another .*\(model.source\)"):
        merge(MergeParams(step="sft"), "sft", broken, adapter, data, **outputs)


def test_merge_into_the_model_of_an_earlier_step(
    broken: Path, adapter: Path, data: Path, tmp_path: Path
):
    config = json.loads((adapter / "adapter_config.json").read_text())
    config["base_model_name_or_path"] = None
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    start = made_by("merge@sft", broken, tmp_path / "sft")
    outputs = {"merged": tmp_path / "merged", "metrics": tmp_path / "metrics.json"}
    with pytest.raises(WeightError, match=f"{TENSOR} holds .*; run `dvc repro -f merge@sft`$"):
        merge(MergeParams(step="dpo"), "dpo", start, adapter, data, **outputs)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32"])
def test_the_merged_model_is_in_its_type_and_says_so(
    tiny_model: Path, adapter: Path, data: Path, tmp_path: Path, dtype: str
):
    outputs = {"merged": tmp_path / "merged", "metrics": tmp_path / "metrics.json"}
    merge(MergeParams(step="sft", dtype=dtype), "sft", tiny_model, adapter, data, **outputs)
    weights = load_file(tmp_path / "merged" / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {getattr(torch, dtype)}
    assert json.loads((tmp_path / "merged" / "config.json").read_text())["dtype"] == dtype
    fidelity = json.loads(outputs["metrics"].read_text())
    assert 0 <= fidelity["exact"]["kl_divergence"] < 1e-6


def test_merge_of_a_broken_adapter(tiny_model: Path, adapter: Path, data: Path, tmp_path: Path):
    weights = load_file(adapter / "adapter_model.safetensors")
    name = sorted(weights)[-1]
    weights[name][1, 1] = math.nan
    save_file(weights, adapter / "adapter_model.safetensors")
    outputs = {"merged": tmp_path / "merged", "metrics": tmp_path / "metrics.json"}
    message = f"{name} holds .*; train with a smaller train.sft.learning_rate"
    with pytest.raises(WeightError, match=message):
        merge(MergeParams(step="sft"), "sft", tiny_model, adapter, data, **outputs)


@pytest.fixture
def params() -> QuantizeParams:
    return QuantizeParams(formats=["gptq"], gptq=GptqParams(group_size=32))


def test_quantize(
    broken: Path, data: Path, tmp_path: Path, params: QuantizeParams, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    made = made_by("merge@dpo", broken, tmp_path / "dpo")
    with pytest.raises(WeightError, match=f"{TENSOR} holds .*; run `dvc repro -f merge@dpo`$"):
        quantize(params, "gptq", made, data, quantized=tmp_path / "gptq")
    assert capsys.readouterr().out == ""


def test_what_is_said_and_recorded_of_the_calibration_is_what_is_used(
    tiny_model: Path, data: Path, tmp_path: Path, params: QuantizeParams, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    quantize(params, "gptq", tiny_model, data, quantized=tmp_path / "gptq")
    assert capsys.readouterr().out.startswith(
        "calibrating on 5 samples, 67 tokens, 3 samples of 10 tokens or fewer joined to longer ones"
    )
    record = lineage.read(tmp_path / "gptq")["quantize"]
    samples = [list(range(5, 5 + length)) for length in LENGTHS]
    assert record == {
        "format": "gptq",
        **params.gptq.model_dump(),
        "calibration_samples": 5,
        "calibration_tokens": 67,
        "calibration_sha256": calibration(samples, None).sha256,
        "uncalibrated_layers": 0,
    }
    log = (tmp_path / ".finery/logs/quantize-gptq.log").read_text()
    assert "Total non-padded tokens: 67" in log and "were removed" not in log


def test_nothing_to_calibrate_on_is_one_line(
    tiny_model: Path, data: Path, tmp_path: Path, params: QuantizeParams, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    samples = [{"dataset": "boats", "input_ids": [5, 6, 7], "labels": [-100] * 3}] * 2
    write_parquet(data / "calibration.parquet", "samples", samples)
    with pytest.raises(CalibrationError, match=r"have 6 tokens together.*data\.calibration_sam"):
        quantize(params, "gptq", tiny_model, data, quantized=tmp_path / "gptq")
