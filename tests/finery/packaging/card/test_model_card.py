"""The model card, read back by Hugging Face's own reader."""

import math
from dataclasses import replace

import pytest
import yaml
from huggingface_hub import ModelCard

from finery.packaging.card.facts import Facts
from finery.packaging.card.figures import figure
from finery.packaging.card.model_card import model_card
from finery.params.package import PackageParams

FACTS = Facts(
    PackageParams(name="boat", license="Apache-2.0", language=["en"], description="Knows boats."),
    quantization={},
    remote_code=False,
    metrics={"test": {"loss": 1.23456789, "bleu": math.nan}, "all": {"loss": 2.0}, "seconds": 3},
    gate={"rules": [{"rule": "merged test.loss <= 2", "value": 1.2346, "passed": True}]},
    lineage={
        "download": {"source": "hf:org/name@abc", "revision": "abc"},
        "prepare@sft": {"datasets": {"a|b": {"rows": 106, "sha256": "5f"}}, "cutoff_len": 512},
        "train@sft": {
            "params": {"lora": {"rank": 8}, "epsilon": 1e-8, "rate": 2e-4},
            "metrics": {"steps": 82, "train_loss": 0.14385578, "eval_loss": None},
        },
        "merge@sft": {
            "dtype": "bfloat16",
            "fidelity": {
                "exact": {"max_logit_difference": 8.869171e-05, "kl_divergence": -3.8e-09},
                "rounded": {"max_logit_difference": 0.30340743, "kl_divergence": 5.4395e-05},
            },
        },
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
    assert "| sft | a\\|b | 106 | 5f |" in lines
    assert (
        "| train@sft | params.lora.rank: 8<br>params.epsilon: 1e-08<br>params.rate: 0.0002"
        "<br>steps: 82<br>training loss at the end: 0.144 |"
    ) in lines


def test_how_close_the_merged_model_is_is_said_in_rounded_words():
    card = model_card(FACTS)
    assert "| merge@sft | dtype: bfloat16 |" in card
    table = card.partition("## Merging\n\n")[2].partition("\n\n")[0]
    assert table.splitlines() == [
        "| step | merged model | before its weights are rounded | and after |",
        "| --- | --- | --- | --- |",
        "| sft | largest difference of logits to base + adapter | 8.87e-05 | 0.303 |",
        "| sft | KL divergence, in nats | 0 | 5.44e-05 |",
    ]
    assert "fidelity" not in card and "e-09" not in card


CHAIN = replace(
    FACTS,
    lineage={
        "download": {"source": "hf:org/name@abc", "revision": "abc"},
        "prepare@sft": {"datasets": {"chats": {"rows": 106, "sha256": "5f"}}},
        "train@sft": {"method": "sft", "metrics": {"steps": 82, "train_loss": 0.5}},
        "merge@sft": {
            "dtype": "bfloat16",
            "fidelity": {
                "exact": {"max_logit_difference": 1e-5}, "rounded": {"max_logit_difference": 0.25},
            },
        },
        "prepare@dpo": {
            "datasets": {"chats": {"rows": 9, "sha256": "6f"}, "pairs": {"rows": 8, "sha256": "7"}}
        },
        "train@dpo": {"method": "dpo", "metrics": {"steps": 7, "train_loss": 0.25}},
        "merge@dpo": {
            "dtype": "bfloat16",
            "fidelity": {
                "exact": {"max_logit_difference": 2e-5}, "rounded": {"max_logit_difference": 0.5},
            },
        },
    },
)  # fmt: skip


def section(card: str, title: str) -> list[str]:
    return card.partition(f"## {title}\n\n")[2].partition("\n\n")[0].splitlines()


def test_each_step_of_a_chain_has_its_rows():
    card = model_card(CHAIN)
    assert section(card, "Training data") == [
        "| step | dataset | rows | SHA-256 |",
        "| --- | --- | --- | --- |",
        "| sft | chats | 106 | 5f |",
        "| dpo | chats | 9 | 6f |",
        "| dpo | pairs | 8 | 7 |",
    ]
    assert section(card, "Merging") == [
        "| step | merged model | before its weights are rounded | and after |",
        "| --- | --- | --- | --- |",
        "| sft | largest difference of logits to base + adapter | 1e-05 | 0.25 |",
        "| dpo | largest difference of logits to base + adapter | 2e-05 | 0.5 |",
    ]
    assert [line.split(" | ")[0].strip("| ") for line in section(card, "Lineage")[2:]] == [
        "download", "train@sft", "merge@sft", "train@dpo", "merge@dpo",
    ]  # fmt: skip
    assert "| train@dpo | method: dpo<br>steps: 7<br>training loss at the end: 0.25 |" in card
    assert ModelCard(card).data.base_model == "org/name"


@pytest.mark.parametrize("without", ["merge@sft", "merge@dpo"])
def test_a_merge_of_which_nothing_was_measured_has_no_row(without: str):
    lineage = CHAIN.lineage | {without: {"dtype": "bfloat16"}}
    table = section(model_card(replace(CHAIN, lineage=lineage)), "Merging")
    assert len(table) == 3 and {line.count("|") for line in table} == {5}


@pytest.mark.parametrize(
    "value, shown",
    [
        (8.869171142578125e-05, "8.87e-05"),
        (0.3034074306488037, "0.303"),
        (-0.0, "0"),
        (-3.819824456741117e-09, "0"),
        (3.8e-09, "0"),
        (-0.25, "-0.25"),
        (1.0, "1"),
        (None, ""),
        (math.nan, "nan"),
    ],
)
def test_figures(value: float | None, shown: str):
    assert figure(value) == shown


def test_no_figure_is_less_than_nothing():
    gate = {"rules": [{"rule": "r", "value": -1e-9, "passed": True}]}
    card = model_card(replace(FACTS, metrics={"test": {"bleu": -0.0, "x": -1e-12}}, gate=gate))
    assert "| test | 0 | 0 |" in card and "| r | 0 | yes |" in card
    (first, second) = ModelCard(card).data.eval_results
    assert str(first.metric_value) == str(second.metric_value) == "0.0"


@pytest.mark.parametrize(
    "name",
    [
        "it's: a",
        '"quoted"',
        "- dash",
        "# hash",
        "{{brace}}",
        "a\n---\nb",
        "null",
        "名 前",
        "\t&*!|>",
    ],
)
def test_the_metadata_is_yaml_whatever_a_dataset_is_called(name: str):
    card = model_card(replace(FACTS, metrics={name: {name: 1.5}}))
    head = yaml.safe_load(card.split("\n---\n")[0])
    (result,) = head["model-index"][0]["results"]
    assert result["dataset"] == {"name": name, "type": name}
    assert result["metrics"] == [{"type": name, "value": 1.5}]
    assert ModelCard(card).data.license == "apache-2.0"


def test_another_licence_is_named_and_linked():
    params = PackageParams(
        name="boat", license="other", license_name="x-1.0", license_link="LICENSE", language=["no"]
    )
    data = ModelCard(model_card(replace(FACTS, params=params))).data
    assert (data.license, data.license_name, data.license_link) == ("other", "x-1.0", "LICENSE")
    assert data.language == ["no"]  # which YAML 1.1 takes for false, unless it is quoted


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
