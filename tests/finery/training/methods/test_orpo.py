"""ORPO's loss is that of the paper; its supervised part learns the answers alone."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import logsigmoid

from finery.training.methods.orpo import build_trainer
from tests.preferences import logps, moved, samples, write_samples
from tests.steps import step

ROWS, BETA = 5, 0.3


def test_the_loss_is_the_one_computed_by_hand(tiny_model: Path, tmp_path: Path) -> None:
    data = write_samples(tmp_path / "data", "orpo", ROWS)
    params = step(method="orpo", precision="fp32", beta=BETA, per_device_batch_size=ROWS)
    trainer = build_trainer(params, tiny_model, data, tmp_path / "checkpoints")
    moved(trainer.model)
    rows = samples("orpo", ROWS)
    with torch.no_grad():
        better, worse = (
            [logps(trainer.model, row[f"{side}input_ids"], row[f"{side}labels"]) for row in rows]
            for side in ("", "rejected_")
        )
        found = trainer.compute_loss(trainer.model, trainer.data_collator(rows)).item()
    a, b = (torch.stack([each.mean() for each in side]).exp() for side in (better, worse))
    log_odds = (a / (1 - a)).log() - (b / (1 - b)).log()
    supervised = -torch.cat(better).mean()
    expected = supervised - BETA * logsigmoid(log_odds).mean()
    assert found == pytest.approx(expected.item(), rel=1e-5)
    assert found - supervised.item() > 0.05
