"""DPO's losses are those of their papers, on what prepare counts, against the step's start."""

import math
from itertools import pairwise
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, get_args

import pytest
import torch
from peft import LoraConfig, get_peft_model
from torch.nn.functional import logsigmoid

from finery.models.load import load_model
from finery.params.methods.dpo import SMOOTHED, Loss
from finery.training import tuners
from finery.training.methods.dpo import build_trainer
from finery.training.preferences import HeadError, pairs, reference
from tests.preferences import logps, moved, samples, write_samples
from tests.steps import step

TUNERS = sorted(module.name for module in iter_modules(tuners.__path__))
TRAINED = {name: {"type": name} for name in TUNERS} | {
    "expansion": {"type": "expansion", "blocks": 1},
    "pissa": {"type": "lora", "init": "pissa"},
    "olora": {"type": "lora", "init": "olora"},
    "dora": {"type": "lora", "use_dora": True},
    "with embeddings": {"type": "lora", "modules_to_save": ["embed_tokens"]},
}
ROWS = 5
BETA, SMOOTHING, TAU = 0.3, 0.1, 0.05


def built(start: Path, folder: Path, **settings: Any) -> Any:
    data = write_samples(folder / "data", "dpo", ROWS, validation=2)
    basic = {"method": "dpo", "precision": "fp32", "beta": BETA, "per_device_batch_size": ROWS}
    return build_trainer(step(**basic | settings), start, data, folder / "checkpoints")


def loss_of(trainer: Any, rows: list[dict[str, Any]]) -> float:
    with torch.no_grad():
        return trainer.compute_loss(trainer.model, trainer.data_collator(rows)).item()


@pytest.fixture(scope="module")
def said(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A moved model, and what it and its start make of each pair, better and worse."""
    trainer = built(tiny_model, tmp_path_factory.mktemp("dpo"))
    moved(trainer.model)
    start, rows, made = load_model(tiny_model, "float32"), samples("dpo", ROWS), {}
    with torch.no_grad():
        for side, name in (("", "better"), ("rejected_", "worse")):
            given = [(row[f"{side}input_ids"], row[f"{side}labels"]) for row in rows]
            made[name] = [logps(trainer.model, *each) for each in given]
            made[f"{name} at the start"] = [logps(start, *each) for each in given]
    return {"trainer": trainer, "rows": rows} | made


def by_hand(loss: str, said: dict[str, Any]) -> torch.Tensor:
    """A loss for each pair, as the papers have it."""

    def sums(name: str) -> torch.Tensor:
        return torch.stack([each.sum() for each in said[name]])

    counts = {n: torch.tensor([len(each) for each in said[n]]) for n in ("better", "worse")}
    better, worse = (sums(name) - sums(f"{name} at the start") for name in ("better", "worse"))
    margin, e = BETA * (better - worse), SMOOTHING
    mean_margin = better / counts["better"] - worse / counts["worse"]
    better_sorted, worse_sorted = better.sort().values, worse.sort().values
    policy = (sums("better") - sums("worse")).sort().values
    start = (sums("better at the start") - sums("worse at the start")).sort().values
    p = torch.sigmoid(margin)
    match loss:
        case "sigmoid":
            return -logsigmoid(margin)
        case "hinge":
            return (1 - margin).clamp(min=0)
        case "ipo":
            return (mean_margin - 1 / (2 * BETA)) ** 2
        case "exo_pair":
            return p * (p / (1 - e)).log() + (1 - p) * ((1 - p) / e).log()
        case "nca_pair":
            a, b = BETA * better, BETA * worse
            return -logsigmoid(a) - (logsigmoid(-a) + logsigmoid(-b)) / 2
        case "robust":
            return (-(1 - e) * logsigmoid(margin) + e * logsigmoid(-margin)) / (1 - 2 * e)
        case "bco_pair":
            return -logsigmoid(BETA * better) - logsigmoid(-BETA * worse)
        case "sppo_hard":
            return (better - 1 / (2 * BETA)) ** 2 + (worse + 1 / (2 * BETA)) ** 2
        case "aot":
            z = BETA * (policy - start)
            return -(1 - e) * logsigmoid(z) - e * logsigmoid(-z)
        case "aot_unpaired":
            z = BETA * (better_sorted - worse_sorted)
            return -(1 - e) * logsigmoid(z) - e * logsigmoid(-z)
        case "apo_zero":
            return 1 - torch.sigmoid(BETA * better) + torch.sigmoid(BETA * worse)
        case "apo_down":
            return torch.sigmoid(BETA * better) + 1 - p
        case "discopop":
            share = torch.sigmoid(margin / TAU)
            return -logsigmoid(margin) * (1 - share) + (-margin).exp() * share
        case "sigmoid_norm":
            return -logsigmoid(BETA * mean_margin)
        case "sft":
            return -torch.cat(said["better"]).mean().reshape(1)
    raise AssertionError(loss)


@pytest.mark.parametrize("loss", get_args(Loss))
def test_the_loss_is_the_one_computed_by_hand(loss: str, said: dict[str, Any]) -> None:
    trainer = said["trainer"]
    trainer.loss_types, trainer.loss_weights = [loss], [1.0]
    trainer.label_smoothing = SMOOTHING if loss in SMOOTHED else 0.0
    expected = by_hand(loss, said).mean().item()
    assert loss_of(trainer, said["rows"]) == pytest.approx(expected, rel=1e-4)
    start = by_hand(loss, said | {n: said[f"{n} at the start"] for n in ("better", "worse")})
    assert abs(start.mean().item() - expected) > 1e-3


def test_the_losses_are_all_different(said: dict[str, Any]) -> None:
    values = sorted(by_hand(loss, said).mean().item() for loss in get_args(Loss))
    assert all(second - first > 1e-4 for first, second in pairwise(values))


def test_settings_reach_the_trainer_and_losses_are_weighed(
    tiny_model: Path, tmp_path: Path, said: dict[str, Any]
) -> None:
    mixed = {"robust": 0.8, "sft": 0.25}
    trainer = built(tiny_model, tmp_path, loss=mixed, label_smoothing=SMOOTHING)
    moved(trainer.model)
    expected = sum(w * by_hand(loss, said).mean().item() for loss, w in mixed.items())
    assert loss_of(trainer, said["rows"]) == pytest.approx(expected, rel=1e-4)


def test_at_the_start_both_answers_are_as_likely_as_in_the_reference(
    tiny_model: Path, tmp_path: Path
) -> None:
    trainer = built(tiny_model, tmp_path)
    assert loss_of(trainer, samples("dpo", ROWS)) == pytest.approx(math.log(2), abs=1e-6)
    assert trainer.ref_model is None


def test_a_model_that_is_trained_itself_is_compared_with_a_copy_of_its_start(
    tiny_model: Path, tmp_path: Path
) -> None:
    trainer = built(tiny_model, tmp_path, tuner={"type": "full"}, learning_rate=1e-2)
    rows, start = samples("dpo", ROWS), load_model(tiny_model, "float32")
    assert loss_of(trainer, rows) == pytest.approx(math.log(2), abs=1e-6)
    trainer.train()
    kept = dict(trainer.ref_model.named_parameters())
    for name, weight in start.named_parameters():
        assert torch.equal(kept[name], weight), name
        assert not torch.equal(trainer.model.get_parameter(name), weight), name


@pytest.mark.parametrize("own, copied", [
    ({}, False), ({"init_lora_weights": "gaussian"}, False), ({"use_dora": True}, False),
    ({"init_lora_weights": "pissa"}, True), ({"init_lora_weights": "olora"}, True),
    ({"bias": "all"}, True),
])  # fmt: skip
def test_a_copy_is_made_where_the_model_without_its_adapter_is_not_its_start(
    own: dict[str, Any], copied: bool, tiny_model: Path
) -> None:
    config = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM", **own)
    params = step(method="dpo")
    model = load_model(tiny_model, "float32")
    copy = reference(params, tiny_model, config, model)
    assert (copy is not None) == copied
    with_adapter = get_peft_model(model, config)
    for name, weight in with_adapter.named_parameters():
        if name.endswith(".bias") or ".lora_" in name:
            weight.data += 0.05
    start, ids = load_model(tiny_model, "float32"), torch.tensor([[5, 6, 7, 8, 9]])
    with torch.no_grad(), with_adapter.disable_adapter():
        expected, found = start(ids).logits, (copy or with_adapter)(ids).logits
    assert torch.equal(expected, found)


@pytest.mark.parametrize("tuner", TRAINED.values(), ids=TRAINED)
def test_whatever_is_trained_the_reference_is_the_start(
    tuner: dict[str, Any], tiny_model: Path, tmp_path: Path
) -> None:
    trainer = built(tiny_model, tmp_path, tuner=tuner)
    generator, rows = torch.Generator().manual_seed(0), samples("dpo", ROWS)
    for weight in trainer.model.parameters():
        if weight.requires_grad:
            weight.data += 0.05 * torch.randn(weight.shape, generator=generator)
    start, batch = load_model(tiny_model, "float32"), trainer.data_collator(rows)
    found = trainer.compute_ref_log_probs(trainer.ref_model or trainer.model, batch)
    with torch.no_grad():
        for side, sums in zip(("", "rejected_"), found, strict=True):
            given = [(row[f"{side}input_ids"], row[f"{side}labels"]) for row in rows]
            expected = torch.stack([logps(start, *each).sum() for each in given])
            torch.testing.assert_close(sums.double(), expected, atol=1e-3, rtol=1e-6)
    assert abs(loss_of(trainer, rows) - math.log(2)) > 1e-5


def test_the_head_takes_no_adapter_and_no_single_tokens(tiny_model: Path) -> None:
    params, model = step(method="dpo"), load_model(tiny_model, "float32")
    layer = r"^train\.sft\.tuner\.target_modules: dpo works with the weights of lm_head itself"
    for targets in (["lm_head", "q_proj"], ".*head"):
        with pytest.raises(HeadError, match=layer) as caught:
            reference(params, tiny_model, LoraConfig(target_modules=targets), model)
        assert caught.value.exit_status == 2
    for targets in ("all-linear", ["q_proj"], None):
        assert reference(params, tiny_model, LoraConfig(target_modules=targets), model) is None
    tokens = LoraConfig(target_modules=["q_proj"], trainable_token_indices=[5, 6])
    with pytest.raises(HeadError, match="lm_head itself, not with single trained tokens; train"):
        reference(params, tiny_model, tokens, model)
    model.config.tie_word_embeddings = False
    assert reference(params, tiny_model, tokens, model) is None


def test_what_is_padded_and_what_is_not_counted(tiny_model: Path, tmp_path: Path) -> None:
    first = {
        "input_ids": [5, 6, 7], "labels": [5, -100, 7],
        "rejected_input_ids": [5, 6, 8, 9, 9], "rejected_labels": [-100, -100, 8, -100, 9],
    }  # fmt: skip
    second = {
        "input_ids": [9, 8], "labels": [-100, 8],
        "rejected_input_ids": [9, 7], "rejected_labels": [-100, 7],
    }  # fmt: skip
    made = pairs([first, second])
    assert made["input_ids"].tolist() == [
        [5, 6, 7, 0, 0], [9, 8, 0, 0, 0], [5, 6, 8, 9, 9], [9, 7, 0, 0, 0],
    ]  # fmt: skip
    assert made["attention_mask"].sum(1).tolist() == [3, 2, 5, 2]
    assert made["labels"].tolist() == [
        [-100, -100, 7, -100, -100], [-100, 8, -100, -100, -100],
        [-100, -100, 8, -100, 9], [-100, 7, -100, -100, -100],
    ]  # fmt: skip
    batch = built(tiny_model, tmp_path).data_collator([first, second])
    assert sorted(batch) == ["attention_mask", "completion_mask", "input_ids"]
    assert batch["completion_mask"].tolist() == (made["labels"] != -100).long().tolist()
