"""All weights are trained."""

from pathlib import Path

from safetensors.torch import load_file

from .learning import LINEAR, NORMS, layer, learn

EVERY = (
    LINEAR | layer(0, NORMS) | layer(1, NORMS) | {"model.embed_tokens.weight", "model.norm.weight"}
)


def test_every_weight_learns(tiny_model: Path, tmp_path: Path):
    learnt = learn({"type": "full"}, tiny_model, tmp_path)
    assert learnt.changed == EVERY
    assert set(load_file(learnt.adapter / "trained.safetensors")) == EVERY
    assert {file.name for file in learnt.adapter.iterdir()} == {
        "trained.json", "trained.safetensors", "lineage.json",
    }  # fmt: skip
