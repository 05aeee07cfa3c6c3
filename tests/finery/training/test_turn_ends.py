"""A model that does not end its turns is told from one that does, and why is said."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from finery.data.prepared import write_parquet
from finery.models.tokenizer import load_tokenizer
from finery.training.supervised import supervised
from finery.training.turn_ends import turn_ends
from tests.steps import step

END, OTHER, IGNORED = 2, 0, -100
ENOUGH = {"learning_rate": 3e-2, "num_train_epochs": 8}
SETTINGS = {
    "tuner": {"type": "full"}, "precision": "fp32", "per_device_batch_size": 4,
    "gradient_accumulation_steps": 1, "logging_steps": 50, "save_steps": 500, "eval_steps": 500,
}  # fmt: skip
COUNTS = ("turn_ends_predicted", "turn_ends_probability", "answers_ended")


def sample(number: int, ending: list[int], counted: int, more: int = 0) -> dict[str, Any]:
    """A question, an answer of two or `more` tokens, and its `ending`, so much of it counted."""
    question = [1, 10 + number % 5, 20, 30]
    answer = [40 + number % 7, 50] + [60 + i % 9 for i in range(more)]
    ids = question + answer + ending
    labels = [IGNORED] * len(question) + answer + ending[:counted]
    labels += [IGNORED] * (len(ids) - len(labels))
    return {"dataset": "d", "input_ids": ids, "labels": labels}


def write(data: Path, samples: list[dict[str, Any]], validation: int = 8) -> Path:
    write_parquet(data / "train.parquet", "samples", samples[validation:])
    write_parquet(data / "validation.parquet", "samples", samples[:validation])
    return data


def measured(base: Path, data: Path, tmp_path: Path, **settings: Any) -> dict[str, Any]:
    """What is found of the model that `settings` train, and of it once more."""
    params = step(**SETTINGS | ENOUGH | settings)
    trainer = supervised(params, base, data, tmp_path / "checkpoints")
    trainer.train()
    was_training = trainer.model.training
    found = turn_ends(trainer, base, data, params.key)
    assert trainer.model.training == was_training
    assert turn_ends(trainer, base, data, params.key) == found
    return found


@pytest.mark.parametrize("validation", [8, 0])
def test_a_model_that_learnt_to_end_its_turns(
    tiny_model: Path, tmp_path: Path, capsys: Any, validation: int
):
    data = write(tmp_path / "data", [sample(n, [END, 70], 1) for n in range(40)], validation)
    found = measured(tiny_model, data, tmp_path)
    assert set(found) == set(COUNTS)
    assert found["turn_ends_predicted"] == found["answers_ended"] == 1
    assert 0.5 < found["turn_ends_probability"] <= 1
    assert "does not end" not in capsys.readouterr().out


def test_the_figures_are_those_of_the_model(tiny_model: Path, tmp_path: Path):
    """Recomputed by hand: the probability of the end, given all that is before it."""
    samples = [sample(n, [END, 70], 1, more=n) for n in range(9)]
    data = write(tmp_path / "data", samples, 3)
    trainer = supervised(step(**SETTINGS), tiny_model, data, tmp_path / "checkpoints")
    found = turn_ends(trainer, tiny_model, data, "train.sft")
    expected = []
    for each in samples[:3]:
        ids = each["input_ids"][: each["input_ids"].index(END)]
        with torch.no_grad():
            logits = trainer.model(torch.tensor([ids])).logits[0, -1]
        expected.append(logits.softmax(-1)[END].item())
    assert found["turn_ends_probability"] == pytest.approx(sum(expected) / 3, rel=1e-5)


def test_every_answer_of_a_conversation_is_looked_at(tiny_model: Path, tmp_path: Path):
    one, two = sample(1, [END, 70], 1), sample(2, [END, 70], 1)
    both = {key: one[key] + two[key] for key in ("input_ids", "labels")} | {"dataset": "d"}
    data = write(tmp_path / "data", [both] * 4, 1)
    trainer = supervised(step(**SETTINGS), tiny_model, data, tmp_path / "checkpoints")
    said = turn_ends(trainer, tiny_model, data, "train.sft")["turns_not_ended"]
    assert "of 2 ends, and 0 of 1 answers" in said


@pytest.mark.parametrize(
    "made, cause",
    [
        (
            lambda n: sample(n, [END, 70], 0),
            "the labels do not count <|im_end|> behind the answers",
        ),
        (
            lambda n: sample(n, [OTHER, 70], 1),
            "the chat template ends a turn with <|endoftext|>, and",
        ),
        (lambda n: sample(n, [OTHER], 1), "the chat template ends a turn with <|endoftext|>, and"),
        (
            lambda n: sample(n, [], 0, more=n),
            "8 of 8 answers are cut before their end; raise data.",
        ),
    ],
    ids=["not counted", "another end", "another end at the very end", "cut"],
)
def test_the_cause_is_said(tiny_model: Path, tmp_path: Path, capsys: Any, made: Any, cause: str):
    data = write(tmp_path / "data", [made(number) for number in range(40)])
    found = measured(tiny_model, data, tmp_path)
    assert found["answers_ended"] == 0
    assert cause in found["turns_not_ended"] and "\n" not in found["turns_not_ended"]
    lines = [line for line in capsys.readouterr().out.splitlines() if "turns" in line]
    expected = f"train.sft: the model does not end its turns: {found['turns_not_ended']}"
    assert lines == [expected] * 2


def test_too_little_training(tiny_model: Path, tmp_path: Path):
    data = write(tmp_path / "data", [sample(n, [END, 70], 1) for n in range(40)])
    found = measured(tiny_model, data, tmp_path, num_train_epochs=1, learning_rate=1e-6)
    assert found["turn_ends_predicted"] == 0
    assert found["turns_not_ended"].endswith(
        "too little was learnt; raise train.sft.num_train_epochs or train.sft.learning_rate"
    )


def test_an_adapter_is_asked_with_its_model(tiny_model: Path, tmp_path: Path):
    data = write(tmp_path / "data", [sample(n, [END, 70], 1) for n in range(40)])
    lora = {"type": "lora", "rank": 16, "alpha": 32}
    found = measured(tiny_model, data, tmp_path, tuner=lora, num_train_epochs=12)
    assert found["turn_ends_predicted"] == found["answers_ended"] == 1


def test_questions_that_count_are_no_texts(tiny_model: Path, tmp_path: Path):
    """With data.train_on_prompt all counts; what is between two ends is a turn."""
    samples = [sample(n, [END, 70], 1) for n in range(40)]
    for each in samples:
        each["input_ids"][3] = END  # that of the question
        each["labels"] = [IGNORED, *each["input_ids"][1:]]
    data = write(tmp_path / "data", samples)
    found = measured(tiny_model, data, tmp_path, num_train_epochs=20)
    assert found["turn_ends_predicted"] == found["answers_ended"] == 1


def test_a_text_has_no_turns(tiny_model: Path, tmp_path: Path):
    samples = [sample(n, [END], 1) for n in range(12)]
    for each in samples:
        each["labels"] = [IGNORED, *each["input_ids"][1:]]
    data = write(tmp_path / "data", samples)
    trainer = supervised(step(**SETTINGS), tiny_model, data, tmp_path / "checkpoints")
    assert turn_ends(trainer, tiny_model, data, "train.sft") == {}


def test_any_of_several_tokens_ends_a_turn(tiny_model: Path, tmp_path: Path):
    base = shutil.copytree(tiny_model, tmp_path / "base")
    config = base / "generation_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"eos_token_id": [END, OTHER]}))
    samples = [sample(n, [(END, OTHER)[n % 2], 70], 1) for n in range(40)]
    found = measured(base, write(tmp_path / "data", samples), tmp_path)
    assert found["answers_ended"] == found["turn_ends_predicted"] == 1
    assert load_tokenizer(base).convert_ids_to_tokens([END, OTHER]) == [
        "<|im_end|>",
        "<|endoftext|>",
    ]


def test_of_preferences_and_verdicts_it_is_the_good_answer(tiny_model: Path, tmp_path: Path):
    base, good = tiny_model, [sample(n, [END, 70], 1) for n in range(40)]
    data = write(tmp_path / "data", good)
    trainer = supervised(step(**SETTINGS | ENOUGH), base, data, tmp_path / "checkpoints")
    trainer.train()
    bad = [sample(n, [], 0, more=20) for n in range(8)]
    pairs = [
        one | {"rejected_input_ids": other["input_ids"], "rejected_labels": other["labels"]}
        for one, other in zip(good, bad, strict=False)
    ]
    verdicts = [one | {"desirable": True} for one in good[:4]]
    verdicts += [one | {"desirable": False} for one in bad]
    for kind, rows in (("preference", pairs), ("kto", verdicts)):
        for name, some in (("train", rows), ("validation", rows)):
            write_parquet(tmp_path / kind / f"{name}.parquet", kind, some)
        found = turn_ends(trainer, base, tmp_path / kind, "train.sft")
        assert found["turn_ends_predicted"] == 1, kind
