"""A model that reads images, through the stages: prepared, trained, merged, evaluated, packaged."""

import json
from collections.abc import Sequence
from contextlib import chdir
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from finery.check.settings import check
from finery.data.prepared import IMAGES, read_parquet, write_parquet
from finery.models.pictures import FOLDER, Pictures
from finery.models.seeing import OF_VISION
from finery.params.data import DataParams, SharedDataParams
from finery.params.evaluate import EvaluateParams
from finery.params.merge import MergeParams
from finery.params.schema import ParamsError
from finery.params.step import StepParams
from finery.sources.generation import stop_at_end_of_turn
from finery.training.start import built
from stages.evaluate import evaluate
from stages.merge import merge
from stages.prepare import prepare
from stages.prepare_test import prepare_test
from stages.train import train
from tests.resuming import differences
from tests.seeing import COLOURS, draw, make_data, make_llava, make_qwen
from tests.steps import step

ROOT = Path(__file__).resolve().parents[2]
SETTINGS = {
    "test": ["asked"], "variables": {}, "cutoff_len": 128, "val_size": 0, "calibration_samples": 4,
}  # fmt: skip
FAST = {"learning_rate": 0.02, "per_device_batch_size": 3, "logging_steps": 5, "data": ["looks"],
        "precision": "fp32", "lr_scheduler_type": "constant"}  # fmt: skip


def prepared(base: Path, raw: Path, into: Path) -> Path:
    """The folder with train, calibration, test and reports."""
    into.mkdir(parents=True, exist_ok=True)
    names = ("train", "calibration", "metrics", "rejected", "plot")
    with chdir(into):
        params = DataParams(train=["looks"], **SETTINGS)
        prepare(params, "sft", raw, base, **{name: into / name for name in names})
        files = {"metrics": into / "t.json", "rejected": into / "t.jsonl"}
        prepare_test(SharedDataParams(**SETTINGS), raw, base, test=into / "test", **files)
    return into


def run(params: StepParams, base: Path, data: Path, out: Path) -> dict[str, Any]:
    """Train and merge; returns the metrics of both."""
    out.mkdir()
    paths = {"adapter": "adapter", "loss": "l.csv", "plot": "l.png", "metrics": "t.json"}
    given = {key: out / name for key, name in paths.items()}
    train(params, "sft", base, data / "train", checkpoints=out / "checkpoints", **given)
    settings = MergeParams(step="sft", dtype="bfloat16")
    made = {"merged": out / "merged", "metrics": out / "m.json"}
    merge(settings, "sft", base, out / "adapter", data / "calibration", **made)
    return {name: json.loads((out / f"{name}.json").read_text()) for name in ("t", "m")}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """As download leaves them."""
    folder = tmp_path_factory.mktemp("models")
    make_qwen(folder / "qwen")
    make_qwen(folder / "qwen25", "qwen2_5_vl")
    make_llava(folder / "llava")
    for model in folder.iterdir():
        stop_at_end_of_turn(model)
    return {model.name: model for model in folder.iterdir()}


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_data(tmp_path_factory.mktemp("raw"))


@pytest.fixture(scope="module")
def data(models: dict[str, Path], raw: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return {
        name: prepared(model, raw, tmp_path_factory.mktemp("data") / name)
        for name, model in models.items()
    }


@pytest.fixture(scope="module")
def learnt(models: Any, data: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What becomes of the Qwen2-VL model that learns the colours."""
    out = tmp_path_factory.mktemp("learnt") / "out"
    slow = {"learning_rate": 5e-3, "lr_scheduler_type": "cosine", "num_train_epochs": 60}
    tuner = {"type": "lora", "rank": 16, "alpha": 32}
    run(step(**FAST | slow, tuner=tuner), models["qwen"], data["qwen"], out)
    return out


def answers(model: Path, tests: Path, out: Path) -> list[str]:
    out.mkdir(exist_ok=True)
    files = {"samples": out / "s.jsonl", "metrics": out / "e.json"}
    evaluate(EvaluateParams(max_new_tokens=8, batch_size=2), model, tests, Path("metrics"), **files)
    return [json.loads(line)["answer"] for line in files["samples"].open()]


def test_prepared_data_has_its_images(data: Any, raw: Path) -> None:
    for folder, count in (("train", 6), ("calibration", 4), ("test", 3)):
        rows = read_parquet(next((data["qwen"] / folder).glob("*.parquet")))
        kept = sorted((data["qwen"] / folder / FOLDER).iterdir())
        if folder != "train":
            assert len(rows) == count == len(kept)
            assert sorted(name for row in rows for name in row[IMAGES]) == [f.name for f in kept]
        for file in kept:
            assert file.name == sha256(file.read_bytes()).hexdigest() + ".png"
    assert len(list((data["qwen"] / "train" / FOLDER).iterdir())) == 6


def test_the_same_data_is_the_same_bytes_and_another_picture_is_not(
    models: Any, data: Any, raw: Path, tmp_path: Path
) -> None:
    def files(folder: Path) -> dict[str, bytes]:
        found = (file for file in folder.rglob("*") if file.is_file())
        kept = (file for file in found if ".finery" not in file.parts)
        return {str(file.relative_to(folder)): file.read_bytes() for file in kept}

    again = prepared(models["qwen"], make_data(tmp_path / "raw"), tmp_path / "again")
    assert files(again) == files(data["qwen"])
    draw(tmp_path / "raw/pictures/red-16.png", "green", (16, 24))
    assert files(prepared(models["qwen"], tmp_path / "raw", again)) != files(data["qwen"])


@pytest.mark.parametrize("name", ["qwen", "qwen25", "llava"])
def test_the_loss_falls_and_the_language_model_alone_learns(
    name: str, models: Any, data: Any, tmp_path: Path
) -> None:
    params = step(**FAST, num_train_epochs=4)
    made = run(params, models[name], data[name], tmp_path / "out")
    lines = (tmp_path / "out/l.csv").read_text().splitlines()[1:]
    losses = [float(line.split(",")[2]) for line in lines]
    assert losses[-1] < losses[0]
    assert made["m"]["exact"]["relative_difference"] < 1e-5
    names = tensors(tmp_path / "out/adapter")
    assert names and all(".language_model.layers." in each for each in names)
    before, after = weights(models[name]), weights(tmp_path / "out/merged")
    changed = {key for key in before if not before[key].equal(after[key])}
    assert before.keys() == after.keys() and changed
    assert not any(OF_VISION.search(key) for key in changed)


def test_the_vision_tower_learns_if_it_is_not_frozen(
    models: Any, data: Any, tmp_path: Path
) -> None:
    params = step(**FAST, num_train_epochs=2, freeze_vision=False)
    made = run(params, models["qwen"], data["qwen"], tmp_path / "out")
    assert any(".visual.blocks." in name for name in tensors(tmp_path / "out/adapter"))
    before, after = weights(models["qwen"]), weights(tmp_path / "out/merged")
    changed = {key for key in before if not before[key].equal(after[key])}
    assert any(key.startswith("visual.") for key in changed)
    assert made["m"]["exact"]["relative_difference"] < 1e-5


def test_all_weights_of_the_language_model(models: Any, data: Any, tmp_path: Path) -> None:
    params = step(**FAST | {"learning_rate": 1e-3, "tuner": {"type": "full"}}, num_train_epochs=2)
    trainer = built(params, models["qwen"], data["qwen"] / "train", tmp_path)
    learning = {n for n, w in trainer.model.named_parameters() if w.requires_grad}
    assert learning == {n for n, _ in trainer.model.named_parameters() if ".visual." not in n}


def test_named_layers_are_not_those_of_the_vision_tower(
    models: Any, data: Any, tmp_path: Path
) -> None:
    """q_proj is a layer of CLIP, too."""
    tuner = {"target_modules": ["q_proj"], "exclude_modules": ["layers.1.self_attn.q_proj"]}
    params = step(**FAST | {"tuner": {"type": "lora"} | tuner})
    trainer = built(params, models["llava"], data["llava"] / "train", tmp_path)
    adapted = {n for n, w in trainer.model.named_parameters() if w.requires_grad}
    assert len(adapted) == 2
    assert all(".language_model.layers.0.self_attn.q_proj." in name for name in adapted)


def test_resumed_from_any_checkpoint_it_ends_with_the_same_bytes(
    models: Any, data: Any, tmp_path: Path
) -> None:
    params = step(**FAST, max_steps=3, save_steps=1)
    found = differences(params, models["qwen"], data["qwen"] / "train", tmp_path)
    assert found == {f"checkpoint-{number}": [] for number in (1, 2, 3)}


def test_whether_it_ends_its_turns_is_asked_of_a_model_that_sees_the_images(
    models: Any, data: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown, inputs = [], Pictures.inputs

    def spied(self: Pictures, files: Sequence[Path], ids: Any) -> dict[str, Any]:
        shown.extend([file.name for file in files] if len(ids) == 1 else [])
        return inputs(self, files, ids)

    monkeypatch.setattr(Pictures, "inputs", spied)
    metrics = run(step(**FAST, max_steps=1), models["llava"], data["llava"], tmp_path / "out")["t"]
    rows = read_parquet(data["llava"] / "train/train.parquet")
    seen = [name for row in rows for name in row[IMAGES]]
    assert shown[: len(seen)] == seen  # where their turns end
    assert set(shown[len(seen) : len(seen) + 4]) < set(seen)  # four answers are written
    assert {"turn_ends_predicted", "answers_ended"} <= metrics.keys()


def test_formats_that_it_is_not_quantized_to_are_refused_before_anything_runs(
    models: Any, tmp_path: Path
) -> None:
    yaml, file = YAML(), tmp_path / "params.yaml"
    params = yaml.load(ROOT / "params.yaml")
    params["model"] |= {"source": f"path:{models['llava']}", "sha256": None}
    params["data"]["cutoff_len"] = 128
    yaml.dump(params, file)
    with pytest.raises(ParamsError) as refused:
        check(file)
    said = "must be [], the model reads images, and such are not quantized"
    assert refused.value.problems == [f"{file}: quantize.formats: {said}"]
    params["quantize"]["formats"] = []
    params["gate"]["rules"] = []
    yaml.dump(params, file)
    check(file)


def test_its_answers_are_about_the_images(learnt: Path, data: Any, tmp_path: Path) -> None:
    assert answers(learnt / "merged", data["qwen"] / "test", tmp_path) == list(COLOURS)
    rows = read_parquet(data["qwen"] / "test/test.parquet")
    turned = tmp_path / "turned"
    turned.mkdir()
    (turned / FOLDER).symlink_to(data["qwen"] / "test" / FOLDER)
    swapped = rows[0] | {key: rows[2][key] for key in (IMAGES, "input_ids", "prompt_ids", "labels")}
    write_parquet(turned / "test.parquet", "tests_seen", [rows[1], swapped, rows[0]])
    assert answers(learnt / "merged", turned, tmp_path) == ["blue", "green", "red"]


def test_the_merged_model_loads_as_transformers_has_it(learnt: Path) -> None:
    from transformers import AutoModelForImageTextToText

    model = AutoModelForImageTextToText.from_pretrained(learnt / "merged", local_files_only=True)
    assert type(model).__name__ == "Qwen2VLForConditionalGeneration"
    assert (learnt / "merged/preprocessor_config.json").is_file()


def tensors(folder: Path) -> list[str]:
    from safetensors import safe_open

    (file,) = folder.glob("*.safetensors")
    with safe_open(file, "pt") as opened:
        return list(opened.keys())


def weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(folder / "model.safetensors")
