"""New blocks are trained, the model's own stay."""

import json
from pathlib import Path

from finery.models.load import load_model

from .learning import layer, learn


def test_a_new_block_after_each(tiny_model: Path, tmp_path: Path):
    learnt = learn({"type": "expansion", "blocks": 2}, tiny_model, tmp_path)
    before = dict(load_model(tiny_model, "float32").named_parameters())
    after = dict(load_model(learnt.merged, "float32").named_parameters())
    assert json.loads((learnt.merged / "config.json").read_text())["num_hidden_layers"] == 4
    for name in layer(0):
        assert after[name].equal(before[name])
    for new, old in zip(sorted(layer(2)), sorted(layer(1)), strict=True):
        assert after[new].equal(before[old])
    trained = json.loads((learnt.adapter / "trained.json").read_text())
    assert set(trained["tensors"]) == layer(1) | layer(3)
    for copy, of in zip(sorted(layer(3)), sorted(layer(1)), strict=True):
        assert not after[copy].equal(before[of])
