"""Two training steps: the second goes on from the first one's model, also after a kill."""

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from finery import lineage
from finery.data.prepared import write_parquet
from finery.params.merge import MergeParams
from finery.params.step import StepParams
from finery.training.supervised import supervised
from stages.merge import merge
from stages.train import train
from tests.steps import step

SETTINGS = {
    "tuner": {"type": "lora", "rank": 2, "alpha": 4}, "precision": "fp32", "learning_rate": 1e-2,
    "num_train_epochs": 2, "per_device_batch_size": 4, "gradient_accumulation_steps": 1,
    "logging_steps": 1, "save_steps": 1,
}  # fmt: skip
PARAMS = {
    "sft": step(**SETTINGS),
    "more": step(**SETTINGS, after="sft").named("more"),
}


@pytest.fixture(scope="module")
def chain(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with models/base, both steps' adapters and models, and all that they came from."""
    folder = tmp_path_factory.mktemp("chain")
    shutil.copytree(tiny_model, folder / "models/base")
    lineage.write(folder / "models/base", [], "download", {"source": "path:tiny"})
    for seed, (name, params) in enumerate(PARAMS.items()):
        write_samples(folder / "data" / name, name, seed)
        run(folder, name, params, folder)
    return folder


def write_samples(data: Path, name: str, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    ids = torch.randint(5, 300, (12, 20), generator=generator).tolist()
    samples = [{"dataset": name, "input_ids": each, "labels": each} for each in ids]
    for file, rows in {"train": samples, "validation": [], "calibration": samples[:4]}.items():
        write_parquet(data / f"{file}.parquet", "samples", rows)
    lineage.write(data, [], f"prepare@{name}", {"datasets": {name: {"rows": len(samples)}}})


def run(chain: Path, name: str, params: StepParams, out: Path) -> None:
    """The train and the merge stage of a step, from what is in `chain`, into `out`."""
    start, data = chain / "models" / params.after, chain / "data" / name
    adapter, merged = out / "models/adapters" / name, out / "models" / name
    for folder in (adapter, merged, reports := out / "reports" / name):
        folder.mkdir(parents=True)
    files = {"loss": reports / "l.csv", "plot": reports / "l.png", "metrics": reports / "m.json"}
    train(
        params, name, start, data, adapter=adapter, **files, checkpoints=out / "checkpoints" / name
    )
    merge(
        MergeParams(step=name), name, start, adapter, data,
        merged=merged, metrics=reports / "merge.json",
    )  # fmt: skip


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {str(file.relative_to(folder)): file.read_bytes() for file in files}


def test_the_second_step_goes_on_from_the_model_of_the_first(chain: Path, tmp_path: Path) -> None:
    made = {
        name: load_file(chain / f"models/{name}/model.safetensors") for name in ("base", *PARAMS)
    }
    changed = [
        name for name in made["base"] if not torch.equal(made["base"][name], made["sft"][name])
    ]
    assert len(changed) == 14, "the linear layers of two blocks"
    trained = load_file(chain / "models/adapters/more/adapter_model.safetensors")
    for name in changed:
        layer = f"base_model.model.{name.removesuffix('.weight')}"
        low = trained[f"{layer}.lora_B.weight"] @ trained[f"{layer}.lora_A.weight"]
        expected = (made["sft"][name].float() + 2 * low).to(torch.bfloat16)
        assert torch.equal(made["more"][name], expected), name

    alone = PARAMS["more"].model_copy(update={"after": "base"}).named("more")
    run(chain, "more", alone, tmp_path)
    assert contents(tmp_path / "models/adapters/more") != contents(chain / "models/adapters/more")


def test_the_model_says_what_it_came_from(chain: Path) -> None:
    records = lineage.read(chain / "models/more")
    assert list(records) == [
        "download", "prepare@sft", "train@sft", "merge@sft", "prepare@more", "train@more",
        "merge@more",
    ]  # fmt: skip
    assert list(lineage.of(records, "train")) == list(PARAMS)


def test_a_kill_at_any_checkpoint_of_the_second_step_changes_no_byte(
    chain: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    trainer = supervised(PARAMS["more"], chain / "models/sft", chain / "data/more", kept)
    trainer.args.save_total_limit = None
    trainer.train()
    checkpoints = sorted(kept.glob("checkpoint-*"))
    assert len(checkpoints) == 6
    for checkpoint in checkpoints:
        out = tmp_path / checkpoint.name
        shutil.copytree(checkpoint, out / "checkpoints/more" / checkpoint.name)
        run(chain, "more", PARAMS["more"], out)
        for made in ("models/adapters/more", "models/more", "reports/more"):
            assert contents(out / made) == contents(chain / made), (checkpoint.name, made)
