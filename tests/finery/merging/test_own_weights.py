"""Trained weights of the model itself are put in their places, or there is no merged model."""

import json
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from finery.data.prepared import write_parquet
from finery.errors import UserError
from finery.merging.own_weights import merge_own_weights
from finery.models.load import load_model
from finery.params.merge import MergeParams
from finery.training.own_weights import save_own_weights, train_only
from stages.merge import merge

CONFIG, WEIGHTS = "trained.json", "trained.safetensors"
NAME = "model.layers.1.mlp.up_proj.weight"
AGAIN = "; run `dvc repro -f train@sft`"


@pytest.fixture
def trained(tiny_model: Path, tmp_path: Path) -> Path:
    """The folder of a training that added one to a layer and to the table of words."""
    model = load_model(tiny_model, "bfloat16")
    train_only(model, {NAME, "model.embed_tokens.weight"}.__contains__)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data += 1
    save_own_weights(model, {"type": "freeze"}, tiny_model, tmp_path / "trained")
    return tmp_path / "trained"


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_they_take_the_places_of_the_old_ones(tiny_model: Path, trained: Path, dtype: str):
    before = load_model(tiny_model, "float32")
    merged, fidelity = merge_own_weights(tiny_model, trained, dtype, [[5, 6, 7], [9]])
    for name, weight in merged.named_parameters():
        old = before.get_parameter(name)
        added = 1 if name in (NAME, "model.embed_tokens.weight") else 0
        assert weight.equal((old + added).to(weight.dtype)), name
    assert merged.lm_head.weight is merged.model.embed_tokens.weight
    assert fidelity["exact"]["relative_difference"] < 1e-6
    assert (fidelity["rounded"]["relative_difference"] > 1e-4) is (dtype == "bfloat16")


def test_in_several_files(tiny_model: Path, trained: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("finery.training.own_weights.SHARD", "40KB")
    model, _ = merge_own_weights(tiny_model, trained, "float32", [[5]])
    train_only(model, lambda name: True)
    several = trained.with_name("several")
    save_own_weights(model, {"type": "full"}, tiny_model, several)
    assert len(list(several.glob("*.safetensors"))) > 2
    again, _ = merge_own_weights(tiny_model, several, "float32", [[5]])
    for name, weight in again.named_parameters():
        assert weight.equal(model.get_parameter(name))


def test_the_same_bytes_for_the_same_weights(tiny_model: Path, trained: Path):
    model, _ = merge_own_weights(tiny_model, trained, "float32", [[5]])
    train_only(model, {NAME, "model.embed_tokens.weight"}.__contains__)
    save_own_weights(model, {"type": "freeze"}, tiny_model, trained.with_name("again"))
    for name in (CONFIG, WEIGHTS):
        assert (trained.with_name("again") / name).read_bytes() == (trained / name).read_bytes()


def removed(name: str) -> Callable[[Path], object]:
    return lambda folder: (folder / name).unlink()


def configured(**changes: object) -> Callable[[Path], object]:
    def change(folder: Path) -> None:
        config = json.loads((folder / CONFIG).read_text()) | changes
        (folder / CONFIG).write_text(json.dumps(config))

    return change


def weights(change: Callable[[dict], object]) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS)

    return apply


def cut_off(folder: Path) -> None:
    (folder / WEIGHTS).write_bytes((folder / WEIGHTS).read_bytes()[:-9])


CASES = {
    "another tuner": (
        configured(tuner={"type": "magic"}), f"trained/{CONFIG}: tuner.type: Input should be"),
    "no tuner": (configured(tuner=None), f"trained/{CONFIG}: tuner: Input should be"),
    "blocks in words": (
        configured(tuner={"type": "expansion", "blocks": "two"}),
        f"trained/{CONFIG}: tuner.blocks: Input should be a valid integer"),
    "more blocks than there are": (
        configured(tuner={"type": "expansion", "blocks": 3}),
        "3 new blocks are more than the 2 that the model has"),
    "another base": (
        configured(base_model_name_or_path="acme/large"),
        f"trained/{CONFIG}: base_model_name_or_path: acme/large is another model than "),
    "no list of tensors": (configured(tensors={}), f"trained/{CONFIG}: tensors: Dictionary should"),
    "not JSON": (lambda folder: (folder / CONFIG).write_text("{"), f"trained/{CONFIG}: not JSON"),
    "no weights": (removed(WEIGHTS), "trained: model.embed_tokens.weight is missing, and trained"),
    "cut off": (cut_off, f"trained/{WEIGHTS}: truncated or damaged ("),
    "a tensor less": (
        weights(lambda t: t.pop(NAME)),
        f"trained: {NAME} is missing, and {CONFIG} says [128, 64]{AGAIN}"),
    "a tensor more": (
        weights(lambda t: t.update(model=torch.ones(2))),
        f"trained: model is [2], and {CONFIG} says nothing of it{AGAIN}"),
    "another shape": (
        weights(lambda t: t.update({NAME: torch.ones(2, 3)})),
        f"trained: {NAME} is [2, 3], and {CONFIG} says [128, 64]{AGAIN}"),
    "NaN": (
        weights(lambda t: t[NAME].view(-1)[:1].fill_(torch.nan)),
        f"trained/{WEIGHTS}: {NAME} holds NaN or infinity"),
    "a pickle": (
        lambda folder: (folder / "trained.bin").write_bytes(pickle.dumps(1)),
        "trained/trained.bin: pickled weights are refused"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_what_is_damaged(
    case: str, tiny_model: Path, trained: Path, monkeypatch: pytest.MonkeyPatch
):
    break_it, said = CASES[case]
    break_it(trained)
    with pytest.raises(UserError) as caught:
        merged(tiny_model, trained, monkeypatch)
    assert str(caught.value).startswith(said) and "\n" not in str(caught.value)


def test_another_model(tiny_model: Path, trained: Path, monkeypatch: pytest.MonkeyPatch):
    def rename(tensors: dict) -> None:
        tensors["model.layers.7.mlp.up_proj.weight"] = tensors.pop(NAME)

    weights(rename)(trained)
    shapes = json.loads((trained / CONFIG).read_text())["tensors"]
    shapes["model.layers.7.mlp.up_proj.weight"] = shapes.pop(NAME)
    configured(tensors=shapes)(trained)
    with pytest.raises(UserError, match=r"^trained does not fit .*, which has no such model.lay"):
        merged(tiny_model, trained, monkeypatch)


def merged(base: Path, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(trained.parent)
    row = {"dataset": "d", "input_ids": [5, 6], "labels": [5, 6]}
    write_parquet(Path("data/calibration.parquet"), "samples", [row])
    merge(
        MergeParams(step="sft"), "sft", base, Path(trained.name), Path("data"),
        merged=Path("merged"), metrics=Path("metrics.json"),
    )  # fmt: skip
