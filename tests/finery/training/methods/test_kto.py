"""KTO's losses are those of the paper; its KL is estimated on the answers of the batch."""

from pathlib import Path
from typing import Any

import pytest
import torch

from finery.models.load import load_model
from finery.training.methods.kto import advice, build_trainer, verdicts_and_others
from tests.preferences import IGNORED, logps, moved, samples, write_samples
from tests.steps import step

ROWS, BETA = 6, 0.3
GOOD, BAD = 1.5, 0.7


def built(start: Path, folder: Path, **settings: Any) -> Any:
    data = write_samples(folder / "data", "kto", ROWS, validation=2)
    basic = {
        "method": "kto", "precision": "fp32", "beta": BETA, "per_device_batch_size": ROWS,
        "desirable_weight": GOOD, "undesirable_weight": BAD,
    }  # fmt: skip
    return build_trainer(step(**basic | settings), start, data, folder / "checkpoints")


def others(rows: list[dict[str, Any]]) -> list[tuple[list[int], list[int]]]:
    """Each question with the answer before it, cut to the longest sample of all."""
    longest, made = max(len(row["input_ids"]) for row in rows), []
    for number, row in enumerate(rows):
        before = rows[number - 1]
        asked = next(n for n, label in enumerate(row["labels"]) if label != IGNORED)
        begins = next(n for n, label in enumerate(before["labels"]) if label != IGNORED)
        ids = row["input_ids"][:asked] + before["input_ids"][begins:]
        labels = [IGNORED] * asked + before["labels"][begins:]
        made.append((ids[:longest], labels[:longest]))
    return made


@pytest.mark.parametrize("loss", ["kto", "apo_zero_unpaired"])
def test_the_loss_is_the_one_computed_by_hand(loss: str, tiny_model: Path, tmp_path: Path) -> None:
    trainer = built(tiny_model, tmp_path, loss=loss)
    moved(trainer.model)
    start, rows = load_model(tiny_model, "float32"), samples("kto", ROWS)

    def nearer(given: list[tuple[list[int], list[int]]]) -> torch.Tensor:
        with torch.no_grad():
            each = [logps(trainer.model, *one).sum() - logps(start, *one).sum() for one in given]
        return torch.stack(each)

    ratios = nearer([(row["input_ids"], row["labels"]) for row in rows])
    kl = nearer(others(rows)).mean().clamp(min=0) if loss == "kto" else 0.0
    good = torch.tensor([row["desirable"] for row in rows])
    signed = torch.where(good, ratios - kl, kl - ratios)
    weights = torch.where(good, GOOD, BAD)
    expected = (weights * (1 - torch.sigmoid(BETA * signed))).mean().item()
    with torch.no_grad():
        found = trainer.compute_loss(trainer.model, trainer.data_collator(rows)).item()
    assert found == pytest.approx(expected, rel=1e-5)
    assert abs(found - weights.double().mean().item() / 2) > 1e-3  # what it was at the start


def test_the_kl_is_not_zero_where_the_loss_is_computed_by_hand(
    tiny_model: Path, tmp_path: Path
) -> None:
    trainer = built(tiny_model, tmp_path)
    moved(trainer.model)
    with torch.no_grad():
        trainer.compute_loss(trainer.model, trainer.data_collator(samples("kto", ROWS)))
    mode = "train" if trainer.model.training else "eval"
    assert trainer._metrics[mode]["kl"][0] > 1e-3


def test_each_question_is_put_before_another_answer_of_the_batch() -> None:
    rows = [
        {"input_ids": [10, 11, 20, 21], "labels": [-100, -100, 20, 21], "desirable": True},
        {"input_ids": [12, 22, 23, 24, 25], "labels": [-100, 22, -100, 24, 25], "desirable": False},
        {"input_ids": [13, 14, 15, 26], "labels": [-100, -100, -100, 26], "desirable": True},
    ]
    made = verdicts_and_others(rows)
    assert made["label"].tolist() == [True, False, True]
    assert made["input_ids"].tolist() == [
        [10, 11, 20, 21, 0], [12, 22, 23, 24, 25], [13, 14, 15, 26, 0],
    ]  # fmt: skip
    assert made["KL_input_ids"].tolist() == [
        [10, 11, 26, 0, 0], [12, 20, 21, 0, 0], [13, 14, 15, 22, 23],  # 24 and 25 are cut
    ]  # fmt: skip
    assert made["KL_completion_mask"].tolist() == [
        [0, 0, 1, 0, 0], [0, 1, 1, 0, 0], [0, 0, 0, 1, 0],
    ]  # fmt: skip
    assert made["KL_attention_mask"].sum(1).tolist() == [3, 3, 5]


def test_other_answers_are_made_where_a_loss_asks_for_them(
    tiny_model: Path, tmp_path: Path
) -> None:
    rows = samples("kto", ROWS)
    assert "KL_input_ids" in built(tiny_model, tmp_path / "kto").data_collator(rows)
    without = built(tiny_model, tmp_path / "apo", loss="apo_zero_unpaired")
    assert "KL_input_ids" not in without.data_collator(rows)


@pytest.mark.parametrize(("verdicts", "weights", "said"), [
    ([True] * 4 + [False] * 4, {}, None),
    ([True] * 5 + [False] * 4, {}, None),
    ([True] * 4 + [False] * 2, {"undesirable_weight": 2.0}, None),
    ([True] * 2 + [False] * 6, {"desirable_weight": 3.0}, None),
    ([True] * 2 + [False] * 6, {}, "desirable_weight: 2 answers are good and 6 are not; 3 x un"),
    ([True] * 6 + [False] * 2, {}, "desirable_weight: 6 answers are good and 2 are not; 0.333 x"),
    ([True] * 6, {}, "data: all answers are good ones; kto needs both"),
    ([False] * 6, {}, "data: all answers are bad ones; kto needs both"),
])  # fmt: skip
def test_weights_that_the_paper_advises_against_are_said(
    verdicts: list[bool], weights: dict[str, float], said: str | None
) -> None:
    found = advice(step(method="kto", **weights), verdicts)
    assert found == said if said is None else str(found).startswith(f"train.sft.{said}")
