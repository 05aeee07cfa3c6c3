"""A model and a tokenizer whose classes come with them: every stage runs that code, if allowed."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from transformers import dynamic_module_utils

from finery.check.model import ModelError
from finery.data.report.preview import previews
from finery.lineage import trusts_remote_code
from finery.models.load import load_model
from finery.models.tokenizer import load_tokenizer
from finery.params.data import DataParams
from finery.params.evaluate import EvaluateParams
from finery.params.merge import MergeParams
from finery.params.model import ModelParams
from finery.params.quantize import QuantizeParams
from stages.download import download
from stages.evaluate import evaluate
from stages.merge import merge
from stages.prepare import prepare
from stages.prepare_test import prepare_test
from stages.quantize import quantize
from stages.train import train
from tests.steps import step

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "templates"
MODEL = """
from transformers import LlamaConfig, LlamaForCausalLM


class LampConfig(LlamaConfig):
    model_type = "lamp"


class LampForCausalLM(LlamaForCausalLM):
    config_class = LampConfig
"""
TOKENIZER = """
from transformers import PreTrainedTokenizerFast


class LampTokenizer(PreTrainedTokenizerFast):
    def is_lit(self):
        return True
"""
SLOW = """
from transformers import PreTrainedTokenizer


class LampTokenizer(PreTrainedTokenizer):
    @property
    def vocab_size(self):
        return 26

    def get_vocab(self):
        return {letter: number for number, letter in enumerate("abcdefghijklmnopqrstuvwxyz")}

    def _tokenize(self, text, **_):
        return list(text)

    def _convert_token_to_id(self, token):
        return self.get_vocab().get(token)

    def _convert_id_to_token(self, index):
        return "abcdefghijklmnopqrstuvwxyz"[index]
"""
ROWS = [{"instruction": f"Who are you, {n}?", "output": f"Saltmere {n}."} for n in range(6)]
DATA = {"variables": None, "val_size": 0, "calibration_samples": 4, "cutoff_len": 64}


@pytest.fixture(autouse=True)
def _modules_of_its_own(tmp_path_factory: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """transformers copies the code that it runs to a folder in the user's home."""
    folder = str(tmp_path_factory.mktemp("modules"))
    monkeypatch.setattr(dynamic_module_utils, "HF_MODULES_CACHE", folder)
    monkeypatch.syspath_prepend(folder)


def edit(file: Path, **settings: Any) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | settings))


def with_tokenizer(model: Path, folder: Path, code: str = TOKENIZER) -> Path:
    """A model whose tokenizer's class is its own."""
    shutil.copytree(model, folder)
    (folder / "tokenization_lamp.py").write_text(code)
    own = {"AutoTokenizer": [None, "tokenization_lamp.LampTokenizer"]}
    edit(folder / "tokenizer_config.json", tokenizer_class="LampTokenizer", auto_map=own)
    return folder


def with_both(model: Path, folder: Path) -> Path:
    """And whose own class is its own too."""
    with_tokenizer(model, folder)
    (folder / "modeling_lamp.py").write_text(MODEL)
    own = {
        "AutoConfig": "modeling_lamp.LampConfig",
        "AutoModelForCausalLM": "modeling_lamp.LampForCausalLM",
    }
    edit(folder / "config.json", model_type="lamp", architectures=["LampForCausalLM"], auto_map=own)
    return folder


def fetched(model: Path, base: Path, *, trusted: bool = True) -> Path:
    base.parent.mkdir(parents=True, exist_ok=True)
    params = ModelParams(source=f"path:{model}", trust_remote_code=trusted)
    download(params, TEMPLATES, base=base)
    return base


def prepared(base: Path, folder: Path) -> tuple[DataParams, dict[str, Path]]:
    raw = folder / "raw"
    raw.mkdir()
    (raw / "rows.json").write_text(json.dumps(ROWS[:5]))
    (raw / "test.json").write_text(json.dumps(ROWS[5:]))
    info = {name: {"file_name": f"{name}.json"} for name in ("rows", "test")}
    (raw / "dataset_info.json").write_text(json.dumps(info))
    params = DataParams(dataset_dir=str(raw), train=["rows"], test=["test"], **DATA)
    outs = {name: folder / name for name in ("train", "calibration", "test")}
    for out in outs.values():
        out.mkdir()
    files = {name: folder / f"{name}.x" for name in ("metrics", "rejected")}
    test = outs.pop("test")
    prepare(params, "sft", raw, base, **outs, **files, plot=folder / "plot.png")
    prepare_test(params, raw, base, test=test, **files)
    return params, outs | {"test": test}


def test_every_stage_runs_the_code_that_was_allowed(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    base = fetched(with_both(tiny_model, tmp_path / "lamp"), tmp_path / "models/base")
    params, data = prepared(base, tmp_path)
    assert list(previews(params, base, "rows", 1, None))
    adapter, merged = tmp_path / "adapter", tmp_path / "merged"
    files = {name: tmp_path / f"{name}.x" for name in ("loss", "metrics")}
    settings = step(precision="fp32", gradient_accumulation_steps=1, num_train_epochs=1)
    train(
        settings, "sft", base, data["train"], adapter=adapter, **files, plot=tmp_path / "plot.png",
        checkpoints=tmp_path / "checkpoints",
    )  # fmt: skip
    merge(
        MergeParams(step="sft"), "sft", base, adapter, data["calibration"], merged=merged,
        metrics=files["metrics"],
    )  # fmt: skip
    for model in (base, merged):
        assert trusts_remote_code(model)
        assert type(load_model(model, "float32")).__name__ == "LampForCausalLM"
        assert load_tokenizer(model).is_lit()
        evaluate(
            EvaluateParams(max_new_tokens=2), model, data["test"], ROOT / "metrics",
            samples=tmp_path / "samples.jsonl", metrics=files["metrics"],
        )  # fmt: skip


def test_a_model_is_quantized_beside_a_tokenizer_of_its_own(
    wide_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    base = fetched(with_tokenizer(wide_model, tmp_path / "lamp"), tmp_path / "models/base")
    _, data = prepared(base, tmp_path)
    params = QuantizeParams.model_validate({"formats": ["gptq"], "gptq": {"group_size": 32}})
    quantized = tmp_path / "gptq"
    quantize(params, "gptq", base, data["calibration"], quantized=quantized)
    evaluate(
        EvaluateParams(max_new_tokens=2), quantized, data["test"], ROOT / "metrics",
        samples=tmp_path / "samples.jsonl", metrics=tmp_path / "metrics.json",
    )  # fmt: skip
    assert load_tokenizer(quantized).is_lit()


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (with_both, r"model_type lamp needs code that comes with the model \(modeling_lamp\.py\)"),
        (with_tokenizer, r"tokenizer: needs code .* \(tokenization_lamp\.py\); read it, then set"),
    ],
)
def test_nothing_runs_that_was_not_allowed(tiny_model: Path, tmp_path: Path, make: Any, said: str):
    model = make(tiny_model, tmp_path / "lamp")
    for file in model.glob("*.py"):
        file.write_text("raise SystemExit('it ran')")
    with pytest.raises(ModelError, match=said):
        fetched(model, tmp_path / "models/base", trusted=False)


def test_code_that_turns_out_to_run_in_python(tiny_model: Path, tmp_path: Path):
    """Only running it tells."""
    model = with_tokenizer(tiny_model, tmp_path / "lamp", SLOW)
    with pytest.raises(Exception, match="it runs in Python and does not say where in the text"):
        fetched(model, tmp_path / "models/base")
