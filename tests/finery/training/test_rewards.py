"""Reward functions get the right texts, and what is wrong with them is said in a line."""

from pathlib import Path
from typing import Any

import pytest
import torch
from datasets import Dataset

from finery.models.scoring import load_scorer
from finery.models.tokenizer import load_tokenizer
from finery.reward_functions import KEPT
from finery.training.prompts import PromptError, answers_an_epoch, read_prompts
from finery.training.reinforced import refuse_equal_rewards
from finery.training.rewards import RewardError, RewardFunction, RewardModel, Texts
from tests.prompts import write_conversations
from tests.steps import step

KEY = "train.rl.data.reward_functions"
END = 2


@pytest.fixture
def texts(tiny_model: Path) -> Texts:
    return Texts(load_tokenizer(tiny_model), [END])


def function(code: str, folder: Path, texts: Texts) -> RewardFunction:
    (folder / KEPT).mkdir(parents=True)
    (folder / KEPT / "mine.py").write_text(code)
    return RewardFunction(folder, "mine.py:f", KEY, texts)


def called(reward: RewardFunction, texts: Texts, *rows: tuple[str, str, str]) -> list[float]:
    """With the tokens of prompts, completions and references."""
    columns = [
        [texts.tokenizer(text)["input_ids"] for text in each] for each in zip(*rows, strict=True)
    ]
    prompts, completions, references = columns
    numbers = list(range(7, 7 + len(rows)))
    return reward(prompts, completions, reference=references, sample=numbers, tail=[[]])


ROWS = [
    ("<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n",
     " I am.<|im_end|>", "A.<|im_end|>"),
    ("<|im_start|>user\nHow many", "3 boats", " 4 "),
]  # fmt: skip


def test_it_is_given_what_it_asks_for(texts: Texts, tmp_path: Path):
    code = "seen = []\ndef f(reference, prompt, completion):\n"
    code += "    seen.append((prompt, completion, reference))\n    return len(seen)\n"
    reward = function(code, tmp_path, texts)
    assert called(reward, texts, *ROWS) == [1, 2]
    assert reward._function.__globals__["seen"] == [
        (ROWS[0][0], "I am.", "A."),
        (ROWS[1][0], "3 boats", "4"),
    ]
    assert reward.__name__ == "f"


@pytest.mark.parametrize(
    "code, expected",
    [
        ("def f(completion): return len(completion)", [5, 7]),
        ("def f(completion, reference, least=4): return completion < reference", [0, 1]),
        ("def f(**given): return len(given)", [3, 3]),
        ("import numpy\ndef f(prompt): return numpy.float32(0.5)", [0.5, 0.5]),
        ("from fractions import Fraction\ndef f(prompt): return Fraction(1, 4)", [0.25, 0.25]),
    ],
)
def test_numbers_of_any_kind(code: str, expected: list[float], texts: Texts, tmp_path: Path):
    assert called(function(code, tmp_path, texts), texts, *ROWS) == expected


@pytest.mark.parametrize(
    "body, said",
    [
        ("    return 1 / (len(completion) - 7)", ", line 2: ZeroDivisionError: division by zero"),
        ("    raise ValueError('a\\nb')", ", line 2: ValueError: a b"),
        ("    import sys\n    sys.exit(3)", ", line 3: SystemExit: 3"),
        ("    return [completion].index('x')", ", line 2: ValueError: "),
        ("    return None", ": gave null (NoneType)"),
        ("    return '0.5'", ': gave "0.5" (str)'),
        ("    return [1.0]", ": gave [1.0] (list)"),
        ("    return float('nan')", ": gave nan"),
        ("    return -float('inf')", ": gave -inf"),
    ],
)
def test_what_is_wrong_is_said_with_the_sample(body: str, said: str, texts: Texts, tmp_path: Path):
    reward = function(f"def f(completion):\n{body}\n", tmp_path, texts)
    with pytest.raises(RewardError) as error:
        called(reward, texts, *ROWS[::-1])
    message = str(error.value)
    assert message.startswith(f"{KEY}: mine.py:f{said}") and "\n" not in message
    assert ' of row 7, completion "3 boats"' in message
    assert error.value.exit_status == 2


@pytest.mark.parametrize(
    "code, said",
    [
        ("import nowhere_to_be_found\ndef f(completion): return 1",
         ", line 1: ModuleNotFoundError: No module named 'nowhere_to_be_found'"),
        ("x = 1 / 0\ndef f(completion): return 1", ", line 1: ZeroDivisionError: "),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_loaded(code: str, said: str, texts: Texts, tmp_path: Path):
    with pytest.raises(RewardError) as error:
        function(code, tmp_path, texts)
    assert str(error.value).startswith(f"{KEY}: mine.py:f{said}")


def test_it_is_tried_on_the_reference_answers_first(texts: Texts, tmp_path: Path):
    reward = function("def f(completion): return 1 / len(completion)", tmp_path, texts)
    rows = [
        {"prompt": [60, 70], "reference": ids, "sample": n} for n, ids in enumerate([[80], [END]])
    ]
    reward.try_on(Dataset.from_list(rows[:1]))
    with pytest.raises(RewardError, match=r'ZeroDivisionError.* of row 1, completion ""$'):
        reward.try_on(Dataset.from_list(rows))


def test_functions_fail_before_a_model_is_loaded(tiny_model: Path, tmp_path: Path):
    from finery.training.methods.rloo import build_trainer

    data = write_conversations(tmp_path / "data", function="def many(completion): return 'much'\n")
    own = {"data": {"train": ["d"], "reward_functions": ["rewards.py:many"]}, "method": "rloo"}
    base = tmp_path / "base"
    base.mkdir()
    for file in tiny_model.glob("*[!s].json*"):
        (base / file.name).write_bytes(file.read_bytes())
    (base / "chat_template.jinja").write_bytes((tiny_model / "chat_template.jinja").read_bytes())
    with pytest.raises(RewardError, match='gave "much"'):
        build_trainer(step(**own), base, data, tmp_path / "c")


def test_a_reward_model_scores_tokens_at_the_end_of_the_turn(tiny_model: Path):
    reward = RewardModel(tiny_model, END, 2)
    prompts, tails = [[60, 70], [61, 71, 81], [62]], [[10], [10], [10]]
    found = reward(prompts, [[90, END], [91, 92], [93, END]], tail=tails, reference=[], sample=[])
    model = load_scorer(tiny_model, "float32")
    for ids, score in zip(
        ([60, 70, 90, END, 10], [61, 71, 81, 91, 92], [62, 93, END, 10]), found, strict=True
    ):
        with torch.inference_mode():
            expected = model(input_ids=torch.tensor([ids])).logits.item()
        assert score == pytest.approx(expected, abs=1e-6)


def asks(**changed: Any) -> Any:
    own = {"data": {"train": ["d"], "reward_functions": ["rewards.py:many"]}, "method": "grpo"}
    return step(**own | {"per_device_batch_size": 4, "num_generations": 2} | changed)


def test_epochs_are_of_whole_steps():
    params = asks(gradient_accumulation_steps=2)  # 4 prompts a step
    assert [answers_an_epoch(params, n) for n in (4, 7, 8, 11)] == [8, 8, 16, 16]
    with pytest.raises(PromptError, match=r"^train.sft.data leaves 3 prompts, and a step takes 4 "):
        answers_an_epoch(params, 3)


@pytest.mark.parametrize("labels", [[-100, 6, 7], [5, 6, 7], [-100, -100, -100]])
def test_a_sample_that_asks_nothing(labels: list[int], tmp_path: Path):
    from finery.data.prepared import write_parquet

    file = tmp_path / "train.parquet"
    good = {"dataset": "d", "input_ids": [5, 6, 7], "labels": [-100, -100, 7]}
    write_parquet(file, "samples", [good, good | {"labels": labels}])
    with pytest.raises(PromptError) as error:
        read_prompts(file, asks())
    assert str(error.value).startswith(f"{file}: row 1 asks nothing before its answer; train.")


def test_rewards_that_tell_nothing_apart():
    log = [{"loss": 0.0, "frac_reward_zero_std": 1.0}, {"eval_loss": 0.0}]
    with pytest.raises(
        RewardError, match=r"^train\.sft: in every step all answers to a prompt had"
    ):
        refuse_equal_rewards(log, asks())
    refuse_equal_rewards([*log, {"frac_reward_zero_std": 0.5}], asks())
    refuse_equal_rewards([], asks())
