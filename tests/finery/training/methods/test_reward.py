"""A reward model learns to tell the better answer, and merges into a folder that scores."""

import csv
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForSequenceClassification

from finery.data.prepared import read_parquet, write_parquet
from finery.models.policy import policy_of
from finery.models.scoring import ScoringError, is_scorer, load_scorer
from finery.params.merge import MergeParams
from finery.params.step import StepParams
from finery.training.methods.reward import build_trainer
from stages.merge import merge
from tests.resuming import differences, trained
from tests.steps import step

GOOD, BAD, ENDS = 40, 41, [2, 7]
"""The better answers hold one token, the worse ones the other; both end alike."""
BASIC = {
    "method": "reward", "tuner": {"type": "lora", "rank": 2, "alpha": 4}, "precision": "fp32",
    "learning_rate": 1e-2, "num_train_epochs": 2, "per_device_batch_size": 4,
    "gradient_accumulation_steps": 1, "logging_steps": 1, "eval_steps": 100, "save_steps": 100,
}  # fmt: skip


def answered(question: list[int], token: int, size: int) -> dict[str, list[int]]:
    answer = [token] * size + ENDS[:1]
    return {
        "input_ids": [*question, *answer, *ENDS[1:]],
        "labels": [-100] * len(question) + answer + [-100],
    }


def pair(generator: torch.Generator) -> dict[str, Any]:
    asked, better, worse = torch.randint(3, 12, (3,), generator=generator).tolist()
    question = torch.randint(50, 300, (asked,), generator=generator).tolist()
    rejected = answered(question, BAD, worse)
    row = {f"rejected_{name}": value for name, value in rejected.items()}
    return {"dataset": "d"} | answered(question, GOOD, better) | row


def write_pairs(data: Path, rows: int = 23, validation: int = 0) -> Path:
    generator = torch.Generator().manual_seed(5)
    pairs = [pair(generator) for _ in range(rows + validation)]
    write_parquet(data / "train.parquet", "preference", pairs[:rows])
    write_parquet(data / "validation.parquet", "preference", pairs[rows:])
    write_parquet(data / "calibration.parquet", "preference", pairs[:8])
    return data


def merged(start: Path, adapter: Path, data: Path, out: Path, dtype: str = "float32") -> Path:
    params = MergeParams(step="rl", dtype=dtype)
    merge(params, "reward", start, adapter, data, merged=out, metrics=out.with_suffix(".json"))
    return out


def score(model: Any, ids: list[int]) -> float:
    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids])).logits.item()


@pytest.fixture(scope="module")
def made(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A step of it through both of its stages, by the names of what it left."""
    folder = tmp_path_factory.mktemp("reward")
    data = write_pairs(folder / "data", validation=6)
    params = step(**BASIC | {"num_train_epochs": 4, "eval_steps": 10})
    files = trained(params, tiny_model, data, folder / "out", folder / "checkpoints")
    merged(tiny_model, folder / "out/adapter", data, folder / "model")
    return {"folder": folder, "data": data, "params": params, "files": files}


def test_it_learns_to_tell_the_better_answer(made: dict[str, Any], tiny_model: Path):
    table = list(csv.DictReader(io.StringIO(made["files"]["l.csv"].decode())))
    assert float(table[0]["loss"]) == pytest.approx(0.693, abs=0.2)
    assert float(table[-1]["loss"]) < 0.1
    assert json.loads(made["files"]["m.json"])["accuracy"] == 1
    assert json.loads(made["files"]["m.json"])["eval_accuracy"] == 1
    model = load_scorer(made["folder"] / "model", "float32")
    for row in read_parquet(made["data"] / "validation.parquet"):
        assert score(model, row["input_ids"]) > score(model, row["rejected_input_ids"])


def test_the_folder_is_a_reward_model_whose_scores_are_those_of_base_and_adapter(
    made: dict[str, Any], tiny_model: Path
):
    from peft import PeftModel

    folder = made["folder"]
    loaded = AutoModelForSequenceClassification.from_pretrained(folder / "model")
    assert (loaded.config.num_labels, loaded.config.pad_token_id) == (1, 0)
    adapted = PeftModel.from_pretrained(load_scorer(tiny_model, "float32"), folder / "out/adapter")
    for row in read_parquet(made["data"] / "validation.parquet"):
        expected = score(adapted.eval(), row["input_ids"])
        assert score(loaded, row["input_ids"]) == pytest.approx(expected, abs=1e-5)
    fidelity = json.loads((folder / "model.json").read_text())
    assert fidelity["exact"].keys() == {"max_score_difference", "relative_difference"}
    assert 0 <= fidelity["exact"]["relative_difference"] < 1e-5
    assert is_scorer(folder / "model") and is_scorer(folder / "out/adapter")
    assert not is_scorer(tiny_model)


def test_the_folder_holds_the_model_that_it_judges(made: dict[str, Any], tiny_model: Path):
    judged = policy_of(made["folder"] / "model")
    names = {file.name for file in tiny_model.iterdir()}
    assert names == {file.name for file in judged.iterdir()}
    assert all((judged / n).read_bytes() == (tiny_model / n).read_bytes() for n in names)
    assert policy_of(tiny_model) == tiny_model


@pytest.mark.parametrize("tuner", [{"target_modules": ["q_proj"]}, {}], ids=["one", "all"])
def test_only_the_adapter_and_the_head_change(
    tuner: dict[str, Any], tiny_model: Path, tmp_path: Path
):
    params = step(**BASIC | {"tuner": BASIC["tuner"] | tuner, "num_train_epochs": 1})
    trainer = build_trainer(params, tiny_model, write_pairs(tmp_path / "data"), tmp_path / "c")
    before = {name: weight.clone() for name, weight in trainer.model.named_parameters()}
    trainer.train()
    after = dict(trainer.model.named_parameters())
    changed = {name for name, weight in after.items() if not weight.equal(before[name])}
    adapters = {name for name in after if ".lora_" in name}
    (head,) = (name for name in after if "score.modules_to_save" in name)
    assert changed == adapters | {head}
    assert len(adapters) == 2 * 2 * len(tuner.get("target_modules", range(7)))


def test_whole_samples_are_scored_as_they_were_prepared(tiny_model: Path, tmp_path: Path):
    data = write_pairs(tmp_path / "data", rows=6)
    params = step(**BASIC | {"num_train_epochs": 1})
    trainer = build_trainer(params, tiny_model, data, tmp_path / "checkpoints")
    seen = []
    for batch in trainer.get_train_dataloader():
        kept = [ids[mask.bool()].tolist() for ids, mask in zip(*batch.values(), strict=True)]
        half = len(kept) // 2
        seen += zip(kept[:half], kept[half:], strict=True)
    rows = read_parquet(data / "train.parquet")
    expected = [(row["input_ids"], row["rejected_input_ids"]) for row in rows]
    assert sorted(seen) == sorted(expected)


def test_the_loss_is_that_of_the_scores_alone(tiny_model: Path, tmp_path: Path):
    data = write_pairs(tmp_path / "data", rows=4)
    params = step(**BASIC | {"center_rewards_coefficient": 0.5, "warmup_ratio": 0.0})
    trainer = build_trainer(params, tiny_model, data, tmp_path / "checkpoints")
    batch = next(iter(trainer.get_train_dataloader()))
    loss = trainer.compute_loss(trainer.model, dict(batch)).item()
    model = load_scorer(tiny_model, "float32", params.seed)
    a, b = (
        torch.tensor([score(model, row[name]) for row in read_parquet(data / "train.parquet")])
        for name in ("input_ids", "rejected_input_ids")
    )
    expected = -torch.nn.functional.logsigmoid(a - b).mean() + 0.5 * ((a + b) ** 2).mean()
    assert loss == pytest.approx(expected.item(), abs=1e-5)


def test_it_resumes_from_every_checkpoint(tiny_model: Path, tmp_path: Path):
    tuner = BASIC["tuner"] | {"dropout": 0.2}
    params = step(**BASIC | {"tuner": tuner, "save_steps": 4, "eval_steps": 5})
    data = write_pairs(tmp_path / "data", validation=3)
    found = differences(params, tiny_model, data, tmp_path)
    assert found == {f"checkpoint-{number}": [] for number in (4, 8, 12)}


def test_where_a_text_ends_with_the_padding(tiny_model: Path, tmp_path: Path):
    """Models without a padding token take their end of turn for it."""
    shutil.copytree(tiny_model, tmp_path / "base")
    file = tmp_path / "base/tokenizer_config.json"
    config = json.loads(file.read_text())
    file.write_text(json.dumps({key: v for key, v in config.items() if key != "pad_token"}))
    data = write_pairs(tmp_path / "data")
    params: StepParams = step(**BASIC | {"num_train_epochs": 1})
    trained(params, tmp_path / "base", data, tmp_path / "out", tmp_path / "checkpoints")
    folder = merged(tmp_path / "base", tmp_path / "out/adapter", data, tmp_path / "model")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    assert model.config.pad_token_id == 2
    ids = [50, 60, GOOD, GOOD]
    padded = torch.tensor([[*ids, 2, 2], [*ids, GOOD, GOOD]])
    with torch.inference_mode():
        assert model(input_ids=padded).logits[0].item() == pytest.approx(
            score(model, ids), abs=1e-5
        )


def test_a_type_of_models_that_cannot_score(tmp_path: Path):
    from transformers import MambaConfig, MambaForCausalLM

    MambaForCausalLM(MambaConfig(hidden_size=8, num_hidden_layers=1, vocab_size=9)).save_pretrained(
        tmp_path / "mamba"
    )
    with pytest.raises(ScoringError, match="no reward models of the type mamba; take another"):
        load_scorer(tmp_path / "mamba", "float32")
