"""grpo and rloo: they sample answers to prepare's own tokens, and learn what is rewarded."""

import csv
import io
import json
import math
import shutil
from importlib import import_module
from pathlib import Path
from typing import Any, get_args

import pytest
import torch

from finery.data.prepared import read_parquet
from finery.models.load import load_model
from finery.params.merge import MergeParams
from finery.params.methods.grpo import GrpoParams
from finery.training.checkpoints import last_good
from finery.training.errors import TrainingError
from finery.training.prompts import read_prompts
from stages.merge import merge
from tests.prompts import TAIL, write_conversations
from tests.resuming import differences, trained
from tests.steps import step

BASIC = {
    "data": {"train": ["d"], "reward_functions": ["rewards.py:many"]},
    "tuner": {"type": "lora", "rank": 4, "alpha": 8}, "precision": "fp32", "learning_rate": 3e-3,
    "num_train_epochs": 1, "per_device_batch_size": 8, "gradient_accumulation_steps": 1,
    "num_generations": 4, "max_completion_length": 6, "temperature": 0.1,
    "logging_steps": 1, "warmup_ratio": 0.0,
    "eval_steps": 100, "save_steps": 100, "lr_scheduler_type": "constant",
}  # fmt: skip
METHODS = ["grpo", "rloo"]


def built(start: Path, data: Path, folder: Path, **changed: Any) -> Any:
    params = step(**BASIC | changed)
    method = import_module(f"finery.training.methods.{params.method}")
    return method.build_trainer(params, start, data, folder)


@pytest.mark.parametrize("method", METHODS)
def test_it_learns_what_is_rewarded_and_merges(method: str, tiny_model: Path, tmp_path: Path):
    changed = {"num_train_epochs": 6, "per_device_batch_size": 16, "num_generations": 8}
    params = step(**BASIC | changed | {"method": method})
    data = write_conversations(tmp_path / "data", validation=3)
    files = trained(params, tiny_model, data, tmp_path / "out", tmp_path / "checkpoints")
    table = list(csv.DictReader(io.StringIO(files["l.csv"].decode())))
    rewards = [float(row["reward"]) for row in table]
    assert len(rewards) == 6 * (11 // 2)
    assert sum(rewards[-5:]) > 1.5 * sum(rewards[:5])
    measured = json.loads(files["m.json"])
    assert measured["reward"] == rewards[-1] and measured["steps"] == len(rewards)
    merge(
        MergeParams(step="rl", dtype="float32"), "rl", tiny_model, tmp_path / "out/adapter", data,
        merged=tmp_path / "model", metrics=tmp_path / "merge.json",
    )  # fmt: skip
    assert json.loads((tmp_path / "merge.json").read_text())["exact"]["top1_agreement"] == 1
    assert load_model(tmp_path / "model", "float32").generation_config is not None


@pytest.mark.parametrize("method", METHODS)
def test_only_the_adapter_changes(method: str, tiny_model: Path, tmp_path: Path):
    data = write_conversations(tmp_path / "data")
    trainer = built(tiny_model, data, tmp_path / "c", method=method)
    before = {name: weight.clone() for name, weight in trainer.model.named_parameters()}
    trainer.train()
    after = dict(trainer.model.named_parameters())
    changed = {name for name, weight in after.items() if not weight.equal(before[name])}
    assert changed == {name for name in after if ".lora_" in name}


@pytest.mark.parametrize("method", METHODS)
def test_the_prompts_are_the_tokens_of_prepare(method: str, tiny_model: Path, tmp_path: Path):
    data = write_conversations(tmp_path / "data")
    rows = read_parquet(data / "train.parquet")
    trainer = built(tiny_model, data, tmp_path / "c", method=method)
    seen = []
    asked = trainer._generate_single_turn

    def listen(prompt_ids: list[list[int]], *given: Any, **named: Any) -> Any:
        seen.extend(map(tuple, prompt_ids))
        return asked(prompt_ids, *given, **named)

    trainer._generate_single_turn = listen
    trainer.train()
    assert len(seen) == 11 // 2 * 2 * 4
    own = {}
    for row in rows:
        counted = [label != -100 for label in row["labels"]]
        last = len(counted) - 1 - len(TAIL)
        while counted[last]:
            last -= 1
        own[tuple(row["input_ids"][: last + 1])] = row
    assert set(seen) <= own.keys() and len(set(seen)) == 10
    assert all(seen.count(prompt) == 4 for prompt in set(seen))


def test_a_sample_in_three_parts(tiny_model: Path, tmp_path: Path):
    data = write_conversations(tmp_path / "data")
    rows = read_parquet(data / "train.parquet")
    made = read_prompts(data / "train.parquet", step(**BASIC | {"method": "grpo"}))
    assert made["sample"] == list(range(11))
    for row, parts in zip(rows, made, strict=True):
        assert parts["prompt"] + parts["reference"] + parts["tail"] == row["input_ids"]
        assert parts["tail"] == TAIL and parts["reference"][-1] == 2
        uncounted = row["labels"][: len(parts["prompt"])]
        assert uncounted[-1] == -100 and (-100 not in row["labels"][len(uncounted) : -1])


@pytest.mark.parametrize("method, times", [("grpo", 1), ("rloo", 1), ("grpo", 2)])
def test_it_resumes_from_every_checkpoint(
    method: str, times: int, tiny_model: Path, tmp_path: Path
):
    tuner = BASIC["tuner"] | {"dropout": 0.2}
    changed = {"tuner": tuner, "num_train_epochs": 3, "save_steps": 2, "eval_steps": 3}
    changed |= {"per_device_batch_size": 4, "gradient_accumulation_steps": 2, "beta": 0.1}
    changed |= {"num_train_epochs": 3 // times, "num_iterations": times} if times > 1 else {}
    params = step(**BASIC | changed | {"method": method, "save_steps": 2 if times == 1 else 1})
    data = write_conversations(tmp_path / "data", rows=7, validation=2)
    found = differences(params, tiny_model, data, tmp_path)
    steps = (2, 4, 6, 8, 9) if times == 1 else range(1, 7)
    assert found == {f"checkpoint-{number}": [] for number in steps}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("tuner", [{"type": "full"}, {"type": "lora", "rank": 4}])
def test_it_is_held_to_the_model_it_started_from(
    method: str, tuner: dict[str, Any], tiny_model: Path, tmp_path: Path
):
    data = write_conversations(tmp_path / "data")
    own = {"tuner": tuner, "beta": 0.1, "temperature": 1.0}
    trainer = built(tiny_model, data, tmp_path / "c", method=method, **own)
    trainer.train()
    far = [entry["kl"] for entry in trainer.state.log_history if "kl" in entry]
    assert abs(far[0]) < 1e-6 < abs(far[-1])


def test_a_model_of_no_numbers(tiny_model: Path, tmp_path: Path):
    data = write_conversations(tmp_path / "data")
    trainer = built(tiny_model, data, tmp_path / "c", method="rloo")
    with torch.no_grad():
        trainer.model.base_model.model.model.norm.weight[3] = torch.nan
    said = r"^step 1 of 5: the probability of a token is nan: the model computes it before"
    with pytest.raises(TrainingError, match=said):
        trainer.train()


def test_every_loss_of_grpo(tiny_model: Path, tmp_path: Path):
    data = write_conversations(tmp_path / "data")
    losses = get_args(GrpoParams.model_fields["loss_type"].annotation)
    assert len(losses) == 8
    for loss in losses:
        own = {"loss_type": loss, "max_steps": 1}
        trainer = built(tiny_model, data, tmp_path / loss, method="grpo", **own)
        trainer.train()
        first = trainer.state.log_history[0]
        assert math.isfinite(first["loss"]) and first["grad_norm"] > 0


@pytest.mark.parametrize("method", METHODS)
def test_sampling_stops_at_the_end_of_a_turn(method: str, tiny_model: Path, tmp_path: Path):
    data = write_conversations(tmp_path / "data")
    own = {"temperature": 5.0, "max_completion_length": 40}
    trainer = built(tiny_model, data, tmp_path / "c", method=method, **own)
    assert trainer.generation_config.eos_token_id == [2]
    more = (4,) if method == "grpo" else ()
    ids = trainer._generate_single_turn([[50, 60, 70]] * 200, None, {}, *more)
    ids = ids[0] if method == "grpo" else ids
    ended = [row for row in ids if 2 in row]
    assert len(ended) > 5 and all(row.index(2) == len(row) - 1 for row in ended)
    assert all(len(row) == 40 for row in ids if 2 not in row)


def test_an_end_of_turn_that_is_not_the_tokenizers_own_end(tiny_model: Path, tmp_path: Path):
    shutil.copytree(tiny_model, tmp_path / "base")
    file = tmp_path / "base/tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"eos_token": "<|endoftext|>"}))
    data = write_conversations(tmp_path / "data")
    trainer = built(tmp_path / "base", data, tmp_path / "c", method="rloo")
    assert trainer.generation_config.eos_token_id == [2, 0]


def test_a_checkpoint_whose_answers_are_damaged_is_not_resumed_from(
    tiny_model: Path, tmp_path: Path
):
    data = write_conversations(tmp_path / "data")
    trainer = built(tiny_model, data, tmp_path / "c", method="rloo", max_steps=2, save_steps=1)
    trainer.train()
    file = tmp_path / "c/checkpoint-2/answers.pt"
    file.write_bytes(file.read_bytes()[:-100])
    assert last_good(tmp_path / "c").name == "checkpoint-1"
