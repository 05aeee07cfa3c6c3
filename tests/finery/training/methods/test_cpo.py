"""CPO's losses are those of the papers, on the answers' tokens alone."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn.functional import logsigmoid

from finery.training.methods.cpo import build_trainer
from tests.preferences import logps, moved, samples, write_samples
from tests.steps import step

ROWS, BETA = 5, 0.3


@pytest.mark.parametrize("own", [
    {}, {"label_smoothing": 0.1, "sft_weight": 0.0}, {"loss": "hinge"}, {"loss": "ipo"},
], ids=["sigmoid", "smoothed", "hinge", "ipo"])  # fmt: skip
def test_the_loss_is_the_one_computed_by_hand(
    own: dict[str, Any], tiny_model: Path, tmp_path: Path
) -> None:
    data = write_samples(tmp_path / "data", "cpo", ROWS)
    basic = {"method": "cpo", "precision": "fp32", "per_device_batch_size": ROWS, "beta": BETA}
    trainer = build_trainer(step(**basic | own), tiny_model, data, tmp_path / "checkpoints")
    moved(trainer.model)
    rows = samples("cpo", ROWS)
    with torch.no_grad():
        better, worse = (
            [logps(trainer.model, row[f"{side}input_ids"], row[f"{side}labels"]) for row in rows]
            for side in ("", "rejected_")
        )
        found = trainer.compute_loss(trainer.model, trainer.data_collator(rows)).item()

    def margins(of: Any) -> torch.Tensor:
        return torch.stack([of(a) - of(b) for a, b in zip(better, worse, strict=True)])

    e = own.get("label_smoothing", 0.0)
    margin = BETA * margins(torch.sum)
    preferred = {
        "sigmoid": -(1 - e) * logsigmoid(margin) - e * logsigmoid(-margin),
        "hinge": (1 - margin).clamp(min=0),
        "ipo": (margins(torch.mean) - 1 / (2 * BETA)) ** 2,
    }[own.get("loss", "sigmoid")]
    expected = preferred.mean() - own.get("sft_weight", 1.0) * torch.cat(better).mean()
    assert found == pytest.approx(expected.item(), rel=1e-5)
