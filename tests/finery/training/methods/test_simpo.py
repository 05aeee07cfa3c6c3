"""SimPO's loss is that of the paper, on the answers' tokens alone."""

from pathlib import Path

import pytest
import torch
from torch.nn.functional import logsigmoid

from finery.training.methods.simpo import build_trainer
from tests.preferences import logps, moved, samples, write_samples
from tests.steps import step

ROWS, BETA, GAMMA = 5, 2.5, 0.8


@pytest.mark.parametrize("weight", [0.0, 0.3])
def test_the_loss_is_the_one_computed_by_hand(
    weight: float, tiny_model: Path, tmp_path: Path
) -> None:
    data = write_samples(tmp_path / "data", "simpo", ROWS)
    own = {"beta": BETA, "gamma": GAMMA, "sft_weight": weight, "per_device_batch_size": ROWS}
    params = step(method="simpo", precision="fp32", **own)
    trainer = build_trainer(params, tiny_model, data, tmp_path / "checkpoints")
    moved(trainer.model)
    rows = samples("simpo", ROWS)
    with torch.no_grad():
        better, worse = (
            [logps(trainer.model, row[f"{side}input_ids"], row[f"{side}labels"]) for row in rows]
            for side in ("", "rejected_")
        )
        found = trainer.compute_loss(trainer.model, trainer.data_collator(rows)).item()
    a, b = (torch.stack([each.mean() for each in side]) for side in (better, worse))
    expected = -logsigmoid(BETA * (a - b) - GAMMA).mean() - weight * torch.cat(better).mean()
    assert found == pytest.approx(expected.item(), rel=1e-5)
