"""What a step's report says of a model that does not end its turns."""

import json
from pathlib import Path

import pytest

from finery import lineage
from finery.packaging.card.figures import said
from tests.steps import step

from .test_train import BASIC, trained, write_samples


def test_it_is_in_the_metrics_and_in_the_lineage(
    tiny_model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """These samples end in any token, as those do that are cut."""
    data = write_samples(tmp_path / "data", validation=6)
    params = step(**BASIC | {"num_train_epochs": 1})
    out = tmp_path / "out"
    metrics = json.loads(trained(params, tiny_model, data, out, tmp_path / "none")["m.json"])
    assert metrics["answers_ended"] == 0
    why = (
        "0 of 4 answers came to an end; 6 of 6 answers are cut before their end; raise"
        " data.cutoff_len"
    )
    assert metrics["turns_not_ended"] == why
    assert lineage.read(out / "adapter")["train@sft"]["metrics"] == metrics
    assert f"train.sft: the model does not end its turns: {why}\n" in capsys.readouterr().out
    assert f"it does not end its turns: {why}" in said(metrics)
