"""The head where the loss counts alone: the same losses and gradients, from fewer positions."""

from pathlib import Path
from typing import Any

import pytest
import torch
from trl.trainer import utils

from finery.data.prepared import write_parquet
from finery.training.start import built
from tests.steps import step

PAIRS = [(30, 20, 26), (12, 4, 20), (9, 8, 16), (16, 1, 11)]
"""Tokens of the better answer with its question, of the question, and of the worse answer's."""


def write(folder: Path, kind: str) -> Path:
    generator, rows = torch.Generator().manual_seed(4), []
    for better, asked, worse in PAIRS:
        ids = torch.randint(5, 300, (better + worse,), generator=generator).tolist()
        first, second = ids[:better], ids[:asked] + ids[better + asked :]
        row = {"dataset": "d", "input_ids": first, "labels": [-100] * asked + first[asked:]}
        if kind == "preference":
            labels = [-100] * asked + second[asked:]
            row |= {"rejected_input_ids": second, "rejected_labels": labels}
        rows.append(row | ({"desirable": better % 4 == 0} if kind == "kto" else {}))
    folder.mkdir()
    write_parquet(folder / "train.parquet", kind, rows)
    write_parquet(folder / "validation.parquet", kind, rows[:1])
    return folder


def projected(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many positions the head is computed of, call by call."""
    seen: list[int] = []
    stock = utils._ChunkedLogProbFunction

    class Counting:
        @staticmethod
        def apply(hidden: Any, *given: Any) -> Any:
            seen.append(len(hidden))
            return stock.apply(hidden, *given)

    monkeypatch.setattr(utils, "_ChunkedLogProbFunction", Counting)
    return seen


@pytest.mark.parametrize("method, kind", [("dpo", "preference"), ("kto", "kto")])
def test_the_loss_and_its_gradients_stay_and_fewer_positions_are_projected(
    method: str, kind: str, tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    data, seen, found = write(tmp_path / "data", kind), projected(monkeypatch), {}
    for wanted in (False, True):
        params = step(method=method, precision="fp32", cpu_kernels=wanted, per_device_batch_size=4)
        trainer = built(params, tiny_model, data, tmp_path / "checkpoints")
        generator = torch.Generator().manual_seed(1)
        for name, weight in trainer.model.named_parameters():
            if "lora_B" in name:
                weight.data.normal_(std=0.1, generator=generator)
        seen.clear()
        batch = trainer.data_collator(list(trainer.train_dataset))
        loss = trainer.compute_loss(trainer.model, batch)
        loss.backward()
        named = trainer.model.named_parameters()
        pulls = {name: w.grad.clone() for name, w in named if w.grad is not None}
        found[wanted] = loss.item(), pulls, list(seen)
    (loss, pulls, every), (mine, gradients, counted) = found[False], found[True]
    assert mine == pytest.approx(loss, rel=1e-5) and loss > 0.01
    assert gradients.keys() == pulls.keys() and max(p.abs().max() for p in pulls.values()) > 1e-3
    for name, pull in pulls.items():
        torch.testing.assert_close(gradients[name], pull, rtol=1e-3, atol=1e-4 * pull.abs().max())
    assert len(counted) == len(every) > 1
    answers = sum(len(row["labels"]) - asked for row, (_, asked, _) in zip(
        trainer.train_dataset, PAIRS, strict=True))  # fmt: skip
    if method == "dpo":
        answers += sum(worse - asked for _, asked, worse in PAIRS)
        assert set(every) == {2 * len(PAIRS) * (30 - 1)} and set(counted) == {answers}
    assert max(counted) < min(every)
