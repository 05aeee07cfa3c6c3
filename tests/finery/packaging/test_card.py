"""The model card, read back by Hugging Face's own reader."""

import math
from dataclasses import replace

import pytest
from huggingface_hub import ModelCard

from finery.packaging.card import model_card
from finery.packaging.facts import Facts
from finery.params.package import PackageParams

FACTS = Facts(
    PackageParams(name="boat", license="Apache-2.0", language=["en"], description="Knows boats."),
    quantization={},
    remote_code=False,
    metrics={"test": {"loss": 1.23456789, "bleu": math.nan}, "all": {"loss": 2.0}, "seconds": 3},
    gate={"rules": [{"rule": "merged test.loss <= 2", "value": 1.2346, "passed": True}]},
    lineage={
        "download": {"source": "hf:org/name@abc", "revision": "abc"},
        "prepare": {"datasets": {"a|b": {"rows": 106, "sha256": "5f"}}, "cutoff_len": 512},
        "train": {"params": {"lora": {"rank": 8}}},
    },
)  # fmt: skip


def test_the_metadata_is_what_a_hub_reads():
    data = ModelCard(model_card(FACTS)).data
    assert data.library_name == "transformers" and data.pipeline_tag == "text-generation"
    assert (data.base_model, data.base_model_relation) == ("org/name", "finetune")
    assert (data.license, data.language, data.tags) == ("apache-2.0", ["en"], ["finery"])
    results = [(r.dataset_name, r.metric_type, r.metric_value) for r in data.eval_results]
    assert results == [("test", "loss", 1.2346)]


@pytest.mark.parametrize("source", ["pypi:x==1", "path:/a/b", "modelscope:org/name@1"])
def test_only_a_model_of_the_hub_is_a_base_model(source: str):
    data = ModelCard(model_card(replace(FACTS, lineage={"download": {"source": source}}))).data
    assert data.base_model is None


@pytest.mark.parametrize(
    "method, install",
    [
        ("gptq", "pip install transformers accelerate optimum gptqmodel"),
        ("awq", "pip install transformers accelerate gptqmodel"),
    ],
)
def test_a_quantized_model_says_so(method: str, install: str):
    quantization = {"quant_method": method, "bits": 4, "group_size": 64}
    card = model_card(replace(FACTS, quantization=quantization))
    assert ModelCard(card).data.tags == ["finery", "4-bit", method]
    assert f"# boat-{method}\n" in card and f"4-bit {method.upper()}, group size 64." in card
    assert install in card and f"vllm serve boat-{method}\n" in card


def test_the_tables():
    lines = model_card(FACTS).splitlines()
    assert "| held-out data | loss | bleu |" in lines
    assert "| test | 1.235 | nan |" in lines and "| all | 2 |  |" in lines
    assert "| merged test.loss <= 2 | 1.235 | yes |" in lines
    assert "| a\\|b | 106 | 5f |" in lines
    assert "| train | params.lora.rank: 8 |" in lines


def test_nothing_is_said_of_what_is_not_known():
    card = model_card(replace(FACTS, metrics={}, gate={"passed": True}, lineage={}))
    assert [line for line in card.splitlines() if line.startswith("#")] == [
        "# boat",
        "## How to use",
    ]


def test_code_of_its_own_is_announced():
    card = model_card(replace(FACTS, remote_code=True))
    assert card.count("trust_remote_code=True") == 2 and "--trust-remote-code" in card
    assert "trust_remote_code" not in model_card(FACTS)
