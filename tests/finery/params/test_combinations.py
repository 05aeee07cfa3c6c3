"""What does not go together in a step is refused by one line, and stands in the docs."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from finery.params.combinations import COMBINATIONS, NOT_OFFERED, WITH_IMAGES, refused
from finery.params.data import DataParams, SharedDataParams
from finery.params.schema import Params, ParamsError, load
from tests.steps import step

ROOT = Path(__file__).resolve().parents[3]
DOCS = (ROOT / "docs/training.md").read_text(encoding="utf-8")
REWARDED = {"train": ["p"], "reward_functions": ["rewards.py:f"]}
EXPERTS = {"target_parameters": ["mlp.experts.down_proj"]}
PARTS = {"distributed": "fsdp2"}
UNSEEN = {"train": ["p"], "val_size": 0}
BNB = {"method": "bnb"}
TOKENS = {"max_tokens_per_batch": 512}
REFUSED: list[tuple[str, dict[str, Any], str]] = [
    *(
        (method, {"data": {"train": ["p"], "packing": True}}, "data.packing: true: does not go")
        for method in ("dpo", "kto", "orpo", "simpo", "cpo", "reward")
    ),
    ("reward", {"quantization": BNB}, "quantization: any: does not go with reward: the head"),
    *(
        ("orpo", {"tuner": {"type": tuner}, "quantization": BNB},
         "quantization: any, without tuner.type: lora: weights in a few bits cannot take")
        for tuner in ("full", "freeze", "expansion")
    ),
    ("orpo", {"quantization": BNB | {"bits": 8}, "tuner": {"use_dora": True}},
     "quantization: bnb in 8 bits, with use_dora: PEFT"),
    ("orpo", {"quantization": BNB, "tuner": {"init": "pissa_niter_4"}},
     "quantization: any, with init: pissa or olora: they"),
    ("orpo", {"quantization": BNB, "tuner": {"target_parameters": ["mlp.experts.down_proj"]}},
     "quantization: any, with target_parameters: a parameter"),
    *(
        ("orpo", {"quantization": {"method": name}, "tuner": {"use_dora": True}},
         "quantization: gptq or awq, with use_dora: PEFT")
        for name in ("gptq", "awq")
    ),
    ("dpo", {"tuner": {"dropout": 0.1}}, "tuner.dropout: above 0: does not go with dpo"),
    ("kto", {"tuner": {"dropout": 0.1}}, "tuner.dropout: above 0: does not go with kto"),
    ("dpo", {"tuner": {"target_modules": ["q_proj", "lm_head"]}},
     "tuner.target_modules: lm_head among them: does not go"),
    ("kto", {"tuner": {"target_modules": ["lm_head"]}},
     "tuner.target_modules: lm_head among them: does not go"),
    ("grpo", {"tuner": {"target_modules": ["lm_head"]}, "data": REWARDED},
     "tuner.target_modules: lm_head among them: does not go"),
    ("rloo", {"tuner": {"target_modules": ["lm_head", "q_proj"]}, "data": REWARDED},
     "tuner.target_modules: lm_head among them: does not go"),
    ("dpo", {"neftune_noise_alpha": 5.0}, "neftune_noise_alpha: given: does not go with dpo"),
    ("kto", {"neftune_noise_alpha": 5.0}, "neftune_noise_alpha: given: does not go with kto"),
    ("kto", {"per_device_batch_size": None}, "per_device_batch_size: 1, with the loss kto: "),
    ("kto", {"effective_batch_size": 8, "per_device_batch_size": 1}, "per_device_batch_size: 1, "),
    ("kto", {"per_device_batch_size": 1}, "per_device_batch_size: 1, with the loss kto: "),
    ("dpo", {"loss": "sft"}, "loss: sft alone: does not go with dpo"),
    ("dpo", {"loss": "exo_pair"}, "label_smoothing: 0, with the loss exo_pair: does not"),
    ("dpo", {"loss": {"exo_pair": 0.5, "sft": 1}}, "label_smoothing: 0, with the loss exo_pair"),
    ("dpo", {"label_smoothing": 0.1}, "label_smoothing: above 0, without the loss exo_pair"),
    ("dpo", {"loss": {"ipo": 1, "sft": 1}, "label_smoothing": 0.1}, "label_smoothing: above 0, "),
    ("cpo", {"loss": "hinge", "label_smoothing": 0.1}, "label_smoothing: above 0, without the"),
    ("sft", {"optim": "schedule_free_sgd"}, "optim: schedule_free_..., without lr_scheduler_type:"),
    ("sft", {"optim": "muon", "tuner": {"type": "freeze"}}, "optim: muon, with tuner.type full, "),
    ("sft", {"optim": "lomo", "gradient_accumulation_steps": 2}, "optim: lomo, with gradient_acc"),
    ("sft", {"optim": "lomo", "effective_batch_size": 8}, "optim: lomo, with gradient_acc"),
    ("sft", {"optim_target_modules": "all-linear"}, "optim_target_modules: without galore_adamw, "),
    ("dpo", {"optim": "galore_adamw", "weight_decay": 0.1}, "weight_decay: above 0, with galore_"),
    ("sft", {"optim": "lomo", "gradient_accumulation_steps": 1, "weight_decay": 0.1},
     "weight_decay: above 0, with galore_"),
    ("sft", {"warmup_steps": 3, "warmup_ratio": 0.2}, "warmup_steps: with warmup_ratio: they say"),
    ("sft", {"gradient_checkpointing_kwargs": {"every_n_layers": 2}},
     "gradient_checkpointing_kwargs: without gradient_checkpointing: "),
    ("sft", {"early_stopping_patience": 2, "data": UNSEEN}, "early_stopping_patience: set, with"),
    ("dpo", {"load_best_model_at_end": True, "data": UNSEEN}, "load_best_model_at_end: true, with"),
    ("sft", {"lr_scheduler_type": "greedy", "data": UNSEEN}, "lr_scheduler_type: reduce_lr_on_pl"),
    ("orpo", {"tuner": EXPERTS | {"dropout": 0.1}}, "tuner.dropout: above 0, with target_param"),
    ("orpo", {"tuner": EXPERTS | {"use_dora": True}}, "tuner.use_dora: true, with target_param"),
    ("orpo", {"tuner": EXPERTS | {"init": "pissa"}}, "tuner.init: pissa or olora, with target_"),
    ("orpo", {"tuner": EXPERTS | {"init": "olora"}}, "tuner.init: pissa or olora, with target_"),
    ("orpo", {"tuner": {"init": "orthogonal", "rank": 5}}, "tuner.init: orthogonal, with an odd"),
    ("orpo", {"tuner": {"init": "orthogonal", "rank_pattern": {"q_proj": 3}}},
     "tuner.init: orthogonal, with an odd rank: does not go with lora: A and B take half"),
    ("orpo", {"tuner": {"loraplus_lr_ratio": 16}, "optim": "muon"},
     "tuner.loraplus_lr_ratio: with the optimizer galore_adamw, galore_adafactor, apollo_adamw"),
    ("orpo", {"tuner": {"type": "hra", "rank": 7}}, "tuner.rank: odd: does not go with hra"),
    *(
        (method, {"distributed": "ddp"}, "distributed: any but auto and none, with a method other")
        for method in ("dpo", "kto", "orpo", "reward")
    ),
    ("sft", {"distributed": "ddp", "tuner": {"type": "adalora"}},
     "distributed: any but auto and none, with tuner.type other than lora, full, freeze"),
    ("sft", PARTS | {"tuner": {"init": "olora"}}, "distributed: in parts (fsdp2, deepspeed), with"),
    ("sft", PARTS | {"tuner": {"use_dora": True}}, "distributed: in parts (fsdp2, deepspeed), wi"),
    ("sft", PARTS | {"tuner": {"modules_to_save": ["lm_head"]}}, "distributed: in parts (fsdp2, "),
    ("sft", PARTS | {"tuner": EXPERTS}, "distributed: in parts (fsdp2, deepspeed), with target_"),
    ("sft", PARTS | {"optim": "adafactor"}, "distributed: in parts (fsdp2, deepspeed), with optim"),
    ("sft", PARTS | {"tuner": {"loraplus_lr_ratio": 16}}, "distributed: in parts (fsdp2, deepsp"),
    ("sft", PARTS | {"load_best_model_at_end": True}, "distributed: in parts (fsdp2, deepspeed), "),
    ("sft", PARTS | {"quantization": BNB | {"bits": 8}}, "distributed: in parts (fsdp2, "),
    ("sft", {"distributed": "deepspeed_zero3", "quantization": BNB}, "distributed: in parts"),
    ("orpo", TOKENS, "max_tokens_per_batch: a number, with a method other than sft, pretrain: its"),
    *(
        ("sft", TOKENS | more, f"max_tokens_per_batch: a number, with {said}")
        for more, said in (
            (PARTS, "distributed other than auto and none: "), ({"quantization": BNB}, "quantiz"),
            ({"optim": "lomo", "gradient_accumulation_steps": 1}, "optim: lomo: it takes"),
            ({"neftune_noise_alpha": 5.0}, "neftune_noise_alpha: the noise follows"),
            ({"torch_compile": True}, "torch_compile: it would compile each part anew; set it"),
            ({"rope_scaling": {"rope_type": "dynamic", "factor": 2.0}}, "rope_scaling: {rope_type"),
        )
    ),
]  # fmt: skip
TAKEN: list[tuple[str, dict[str, Any]]] = [
    ("orpo", {"tuner": {"dropout": 0.1}}),
    ("simpo", {"tuner": {"target_modules": ["q_proj", "lm_head"]}}),
    ("kto", {"per_device_batch_size": 2}),
    ("dpo", {"quantization": BNB}),
    ("orpo", {"quantization": BNB, "tuner": {"use_dora": True}}),
    ("orpo", {"quantization": BNB | {"bits": 8}, "tuner": {"init": "gaussian"}}),
    ("orpo", {"tuner": {"target_modules": ["q_proj"]}, "quantization": {"method": "hqq"}}),
    ("kto", {"per_device_batch_size": None, "effective_batch_size": 6}),
    ("orpo", {"quantization": {"method": "awq"}}),
    ("orpo", {"neftune_noise_alpha": 5.0}),
    ("kto", {"per_device_batch_size": 1, "loss": "apo_zero_unpaired"}),
    ("dpo", {"loss": "exo_pair", "label_smoothing": 0.001}),
    ("dpo", {"loss": {"robust": 1, "sft": 0.1}, "label_smoothing": 0.1}),
    ("dpo", {"loss": {"sigmoid": 0.8, "bco_pair": 0.2, "sft": 1}}),
    ("cpo", {"label_smoothing": 0.1}),
    ("sft", {"optim": "schedule_free_sgd", "lr_scheduler_type": "constant"}),
    ("sft", {"optim": "muon"}),
    ("sft", {"optim": "lomo", "gradient_accumulation_steps": 1}),
    ("sft", {"optim": "galore_adamw", "optim_target_modules": ["q_proj"]}),
    ("sft", {"warmup_steps": 3}),
    ("orpo", {"tuner": EXPERTS}),
    ("orpo", {"tuner": {"init": "pissa", "use_dora": True, "dropout": 0.1}}),
    (
        "orpo",
        {
            "tuner": {"loraplus_lr_ratio": 16},
            "optim": "schedule_free_adamw",
            "lr_scheduler_type": "constant",
        },
    ),
    ("orpo", {"tuner": {"type": "hra", "rank": 6}}),
    ("sft", PARTS),
    ("pretrain", TOKENS),
    ("sft", TOKENS | {"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}),
    *(("orpo", {"max_tokens_per_batch": most}) for most in ("auto", None)),
    ("sft", PARTS | {"quantization": BNB}),
    ("pretrain", PARTS | {"tuner": {"type": "full"}}),
    ("sft", {"distributed": "ddp", "quantization": BNB}),
    ("dpo", {"distributed": "none"}),
    ("sft", {"early_stopping_patience": 2, "lr_scheduler_type": "greedy"}),
    ("sft", {"early_stopping_patience": 2, "data": UNSEEN | {"eval_dataset": ["q"]}}),
]


def written(folder: Path, method: str, own: dict[str, Any]) -> Path:
    """The shipped params.yaml with a second step; the first packs its samples."""
    yaml, file = YAML(), folder / "params.yaml"
    params = yaml.load(ROOT / "params.yaml")
    params["train"]["sft"]["data"] = {"train": ["identity", "handbook"], "packing": True}
    tuner = {"type": "lora"} | own.get("tuner", {})
    least = {"after": "sft", "method": method, "data": ["p"], "per_device_batch_size": 4}
    if own.get("quantization", {}).get("method") in ("gptq", "awq"):
        params["model"]["quantized"], least["after"] = "path:packed", "base"
    params["train"]["second"] = least | own | {"tuner": tuner}
    yaml.dump(params, file)
    return file


@pytest.mark.parametrize(("method", "own", "said"), REFUSED)
def test_it_is_refused(method: str, own: dict[str, Any], said: str, tmp_path: Path) -> None:
    with pytest.raises(ParamsError) as caught:
        load(written(tmp_path, method, own))
    (line,) = caught.value.problems
    assert f": train.second.{said}" in line


@pytest.mark.parametrize(("method", "own"), TAKEN)
def test_others_are_taken(method: str, own: dict[str, Any], tmp_path: Path) -> None:
    params = load(written(tmp_path, method, own))
    assert params.train["second"].method == method


def test_each_combination_is_tried_above_and_stands_in_the_docs() -> None:
    for each in COMBINATIONS:
        assert each.row in DOCS
        said = f"{each.key}: {each.value}"
        tried = {
            name
            for method, own, line in REFUSED
            for name in (method, own.get("tuner", {}).get("type", "lora"))
            if line.startswith(said) or said.startswith(line.split(": does")[0].rstrip(": "))
        }
        assert tried >= set(each.of) and tried, said


@pytest.mark.parametrize("name", NOT_OFFERED)
def test_what_peft_has_and_is_not_offered_is_no_unknown_key(name: str, tmp_path: Path) -> None:
    with pytest.raises(ParamsError) as caught:
        load(written(tmp_path, "orpo", {"tuner": {name: 1}}))
    (line,) = caught.value.problems
    said = f"train.second.tuner.{name}: unknown key; it is not offered: {NOT_OFFERED[name]}"
    assert line.endswith(said)
    assert f"| `{name}` | {NOT_OFFERED[name]} |" in DOCS


@pytest.mark.parametrize(("loss", "said"), [
    ("sigmiod", "train.second.loss: there is no sigmiod; did you mean sigmoid?"),
    ({"sft": 1, "bco": 1}, "train.second.loss: there is no bco; known are sigmoid, hinge, ipo,"),
    ({"sigmoid": 0}, "train.second.loss.sigmoid: must be greater than 0, not 0"),
    ({}, "train.second.loss: must have at least 1 entry, not {}"),
    (1, "train.second.loss: must be a valid dictionary, not 1"),
])  # fmt: skip
def test_a_loss_that_there_is_not(loss: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(ParamsError) as caught:
        load(written(tmp_path, "dpo", {"loss": loss}))
    (line,) = caught.value.problems
    assert f": {said}" in line


@pytest.mark.parametrize("changed", [{}, {"warmup_steps": 3}])
def test_settings_that_name_all_can_be_read_again(changed: dict[str, Any]):
    """As a package's manifest has them, with the defaults written out."""
    text = (ROOT / "params.yaml").read_text()
    params = YAML(typ="safe").load(text)
    params["train"]["sft"].pop("warmup_ratio")
    params["train"]["sft"] |= changed
    whole = Params.model_validate(params)
    assert Params.model_validate(whole.model_dump()) == whole


@pytest.mark.parametrize(("own", "key"), [
    ({"method": "dpo"}, "method"),
    ({"tuner": {"type": "vera"}}, "freeze_vision"),
    ({"quantization": {"method": "bnb"}}, "quantization"),
    ({"data": {"train": ["d"], "packing": True}}, "data.packing"),
])  # fmt: skip
def test_where_the_model_reads_images(own: dict[str, Any], key: str) -> None:
    params = step(**own)
    data = DataParams.of(SharedDataParams(test=["t"]), params.data, "sft")
    (line,) = refused(params, data, WITH_IMAGES)
    assert line.startswith(f"{params.key}.{key}: ")
    assert list(refused(step(), data, WITH_IMAGES[:3])) == []
    assert all(each.row in DOCS for each in WITH_IMAGES)
