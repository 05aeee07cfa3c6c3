"""The format gguf: made, tried, loaded as the evaluation does, and packaged."""

import json
from pathlib import Path

import pytest
import torch

from finery import lineage
from finery.data.prepared import write_parquet
from finery.inference.loading import load_for_inference
from finery.models.load import load_model
from finery.packaging.verify import verify
from finery.params.package import PackageParams
from finery.params.quantize import GgufParams, QuantizeParams
from finery.params.schema import load
from finery.quantization.trial import TrialError, insist_on_an_answer
from stages.package import package
from stages.quantize import quantize

ROOT = Path(__file__).resolve().parents[2]
IDS = list(range(5, 45))


@pytest.fixture(scope="module")
def made(stopping_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """models/gguf of the tiny model, in 8 bits."""
    home = tmp_path_factory.mktemp("formats")
    row = {"dataset": "boats", "input_ids": IDS, "labels": [-100] * len(IDS)}
    write_parquet(home / "data" / "calibration.parquet", "samples", [row])
    params = QuantizeParams(formats=["gguf"], gguf=GgufParams(type="q8_0"))
    (home / "gguf").mkdir()
    quantize(params, "gguf", stopping_model, home / "data", quantized=home / "gguf")
    return home / "gguf"


def logits(model: torch.nn.Module) -> torch.Tensor:
    with torch.inference_mode():
        return model(input_ids=torch.tensor([IDS])).logits


def test_eight_bits_stay_close_to_the_model(made: Path, stopping_model: Path) -> None:
    dense, eight = logits(load_model(stopping_model, "float32")), logits(load_for_inference(made))
    assert 1e-5 < ((dense - eight).norm() / dense.norm()).item() < 0.02
    names = {file.name for file in made.iterdir()}
    assert {"model.gguf", "config.json", "tokenizer.json", "generation_config.json"} <= names
    assert not any(made.glob("*.safetensors"))
    assert lineage.read(made)["quantize"] == {"format": "gguf", "type": "q8_0"}


def test_a_result_that_is_no_number_fails_its_stage(
    made: Path, tmp_path: Path, stopping_model: Path
) -> None:
    assert insist_on_an_answer(stopping_model, IDS) > 0
    for file in made.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    content = bytearray((tmp_path / "model.gguf").read_bytes())
    content[-4:] = b"\xff\xff\xff\x7f"  # in float32, NaN: of the last norm
    (tmp_path / "model.gguf").write_bytes(content)
    with pytest.raises(TrialError, match="it was made, and what it answers is no number"):
        insist_on_an_answer(tmp_path, IDS)
    (tmp_path / "model.gguf").write_bytes(content[:100])
    with pytest.raises(TrialError, match="it was made, and does not answer: ") as refusal:
        insist_on_an_answer(tmp_path, IDS)
    assert "\n" not in str(refusal.value)


def test_its_package_has_the_file_and_says_how_to_run_it(made: Path, tmp_path: Path) -> None:
    boat = PackageParams(name="boat", license="apache-2.0", language=["en"], description="Boats.")
    params = load(ROOT / "params.yaml").model_copy(update={"package": boat})
    (tmp_path / "metrics.json").write_text(json.dumps({"all": {"loss": 1.5}}))
    (tmp_path / "gate.json").write_text(json.dumps({"passed": True, "rules": []}))
    inputs = (made, tmp_path / "metrics.json", tmp_path / "gate.json")
    package(params, *inputs, package=tmp_path / "package")
    assert (tmp_path / "package/model.gguf").samefile(made / "model.gguf")
    assert verify(tmp_path / "package") == []
    manifest = json.loads((tmp_path / "package/MANIFEST.json").read_text())
    assert manifest["name"] == "boat-gguf"
    card = (tmp_path / "package/README.md").read_text()
    assert "GGUF, weights in q8_0, for llama.cpp and Ollama." in card
    assert "llama-server --model boat-gguf/model.gguf --jinja" in card
    assert "vllm" not in card
    listed = [file["path"] for file in manifest["files"]]
    assert "Modelfile" in listed and "compose.yaml" not in listed
