"""Adapters on models in a few bits: trained, resumed, merged into the model in full precision."""

import json
import shutil
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel

from finery.check.facts import read_model
from finery.check.memory.shape import shape
from finery.models.load import load_model
from finery.params.merge import MergeParams
from finery.training.start import built, load_start
from stages.merge import merge
from tests.finery.training.tuners.learning import LINEAR, SETTINGS, Learnt, logits, samples, stage
from tests.steps import step

LORA = {"type": "lora", "rank": 4, "alpha": 8}
needs_hqq = pytest.mark.skipif(find_spec("hqq") is None, reason="hqq is not installed")
CASES: list[Any] = [
    pytest.param({"method": "bnb"}, LORA, "bitsandbytes, nf4", id="nf4"),
    pytest.param({"method": "bnb", "type": "fp4", "double_quant": False}, LORA,
                 "bitsandbytes, fp4", id="fp4"),
    pytest.param({"method": "bnb"}, LORA | {"use_dora": True}, "bitsandbytes, nf4", id="dora"),
    pytest.param({"method": "bnb", "bits": 8}, LORA, "bitsandbytes, int8", id="int8"),
    pytest.param({"method": "torchao"}, LORA, "torchao, int8", id="torchao"),
    pytest.param({"method": "hqq"}, LORA, "hqq, 4 bits", id="hqq", marks=needs_hqq),
    pytest.param({"method": "hqq", "bits": 8, "group_size": 32}, LORA, "hqq, 8 bits", id="hqq8",
                 marks=needs_hqq),
]  # fmt: skip


@pytest.mark.parametrize("quantization, tuner, words", CASES)
def test_it_is_trained_on_few_bits_and_merged_into_all(
    quantization: dict, tuner: dict, words: str, tiny_model: Path, tmp_path: Path, capsys: Any
) -> None:
    params = step(tuner=tuner, quantization=quantization, **SETTINGS)
    data = samples(tmp_path / "data")
    whole = Learnt(params, tiny_model, tmp_path / "whole")
    stage(whole, data, tmp_path / "none")
    assert whole.losses[-1] < whole.losses[0] - 0.01

    trainer = built(params, tiny_model, data, tmp_path / "all")
    trainer.args.save_total_limit = None
    before = held(trainer.model)
    trainer.train()
    assert held(trainer.model) == before, "the model itself was changed"
    resumed = Learnt(params, tiny_model, tmp_path / "resumed")
    shutil.copytree(tmp_path / "all/checkpoint-4", tmp_path / "some/checkpoint-4")
    stage(resumed, data, tmp_path / "some")
    assert resumed.files == whole.files

    capsys.readouterr()
    merge(
        MergeParams(step="sft", dtype="float32"), "sft", tiny_model, whole.adapter, data,
        merged=whole.merged, metrics=tmp_path / "merge.json",
    )  # fmt: skip
    assert f"in full precision; it was trained on it in {words}\n" in capsys.readouterr().out
    assert json.loads((tmp_path / "merge.json").read_text())["trained_on"] == words
    record = json.loads((whole.merged / "lineage.json").read_text())
    assert record["train@sft"]["quantization"] == record["merge@sft"]["trained_on"] == words
    assert whole.changed == LINEAR
    full = PeftModel.from_pretrained(load_model(tiny_model, "float32"), whole.adapter).eval()
    for expected, merged in zip(logits(full), whole.logits(), strict=True):
        torch.testing.assert_close(merged, expected, rtol=0, atol=2e-5)


def held(model: Any) -> list[tuple[str, bytes]]:
    """What is not trained, to the byte, with its name; of a quantized weight what it is kept in."""
    found = []
    for name, weight in model.named_parameters():
        if not weight.requires_grad:
            kept = getattr(weight.detach(), "qdata", weight.detach())
            found.append((name, kept.contiguous().view(torch.uint8).numpy().tobytes()))
    return found


@pytest.mark.parametrize("quantization, tuner, words", CASES)
def test_the_model_is_held_in_as_few_bytes_as_is_said(
    quantization: dict, tuner: dict, words: str, wide_model: Path
) -> None:
    """And computes nearly what it does in full precision: the nearer, the more bits there are."""
    params = step(tuner=tuner, quantization=quantization)
    model = load_start(params, wide_model, "float32")
    size = sum(each.nbytes for each in storages(model))
    said = shape(read_model(wide_model)).inside * params.quantization.bytes_a_weight
    rest = sum(w.nbytes for n, w in model.named_parameters() if "embed" in n or "norm" in n)
    assert size == pytest.approx(said + rest, rel=0.05)
    full = logits(load_model(wide_model, "float32"))
    off = max(
        ((few - all_).norm() / all_.norm()).item()
        for few, all_ in zip(logits(model), full, strict=True)
    )
    bits = params.quantization.bits
    assert 0 < off < (0.03 if bits == 8 else 0.25)


def storages(model: Any) -> list[torch.Tensor]:
    """The tensors that a model keeps, those inside of quantized weights and states too."""
    found: dict[int, torch.Tensor] = {}

    def look(value: Any) -> None:
        if hasattr(value, "quant_state") and value.quant_state is not None:
            state = value.quant_state
            for each in (state.absmax, *((state.state2.absmax,) if state.nested else ())):
                found[each.data_ptr()] = each
        if hasattr(value, "__tensor_flatten__"):
            for name in value.__tensor_flatten__()[0]:
                look(getattr(value, name))
        elif isinstance(value, torch.Tensor):
            found[value.data_ptr()] = value

    for module in model.modules():
        for value in (*module._parameters.values(), *getattr(module, "meta", {}).values()):
            look(value)
    return list(found.values())


def test_what_is_trained_is_in_float32(tiny_model: Path, tmp_path: Path) -> None:
    """TRL would have it in bfloat16, where a step of a hundredth of a weight is lost."""
    params = step(tuner=LORA, quantization={"method": "bnb"}, **SETTINGS)
    trainer = built(params, tiny_model, samples(tmp_path / "data"), tmp_path / "none")
    trained = {w.dtype for w in trainer.model.parameters() if w.requires_grad}
    assert trained == {torch.float32}
