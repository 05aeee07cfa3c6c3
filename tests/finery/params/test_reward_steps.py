"""What may come after a reward model, and what may not."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from finery.params.schema import ParamsError, load

ROOT = Path(__file__).resolve().parents[3]


def written(folder: Path, steps: dict[str, dict], merge: str = "sft") -> Path:
    """A params.yaml with these steps besides one called sft."""
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    for name, own in steps.items():
        params["train"][name] = {"data": ["d"], "tuner": {"type": "lora"}} | own
    params["merge"]["step"] = merge
    YAML().dump(params, file := folder / "params.yaml")
    return file


REWARD = {"reward": {"after": "sft", "method": "reward"}}


def problems(file: Path) -> list[str]:
    with pytest.raises(ParamsError) as error:
        load(file)
    assert error.value.exit_status == 2
    return [problem.partition(": ")[2] for problem in error.value.problems]


def test_a_reward_step_after_another(tmp_path: Path):
    step = load(written(tmp_path, REWARD)).train["reward"]
    assert step.scores and step.learns_from == ("preference",)


@pytest.mark.parametrize("method", ["sft", "pretrain", "dpo", "kto", "reward"])
def test_what_needs_answers_cannot_go_on_from_scores(method: str, tmp_path: Path):
    steps = REWARD | {"next": {"after": "reward", "method": method}}
    assert problems(written(tmp_path, steps)) == [
        "train.next.after: reward makes a reward model, which gives no answers; only grpo and rloo"
        f" go on from one, {method} from a step before it"
    ]


def test_a_reward_model_is_not_what_is_released(tmp_path: Path):
    assert problems(written(tmp_path, REWARD, merge="reward")) == [
        "merge.step: reward makes a reward model, which gives no answers to evaluate; name a step"
        " that learns from it, or the one before it"
    ]


@pytest.mark.parametrize("method", ["grpo", "rloo"])
def test_what_learns_from_scores_goes_on_from_a_reward_step(method: str, tmp_path: Path):
    steps = REWARD | {"rl": {"after": "reward", "method": method}}
    assert load(written(tmp_path, steps, merge="rl")).train["rl"].num_generations == 8


FUNCTIONS = {"train": ["d"], "reward_functions": ["rewards.py:brevity", "more/rewards.py:other"]}


def test_functions_alone_reward_too(tmp_path: Path):
    steps = {"rl": {"after": "sft", "method": "grpo", "data": FUNCTIONS, "reward_weights": [1, 2]}}
    steps["rl"]["reward_weights"] = [1.0, 0.5]
    params = load(written(tmp_path, steps, merge="rl"))
    assert params.data_of("rl").reward_functions == FUNCTIONS["reward_functions"]


@pytest.mark.parametrize(
    "own, said",
    [
        ({}, "train.rl.after: nothing rewards the answers of rloo; go on from a step of method"
         " reward, or name train.rl.data.reward_functions"),
        ({"method": "sft", "data": FUNCTIONS},
         "train.rl.data.reward_functions: sft rewards nothing, only grpo and rloo do; take them"
         " out"),
        ({"data": FUNCTIONS, "reward_weights": [1.0]},
         "train.rl.reward_weights: needs one a reward, 2, not 1"),
        ({"after": "reward", "data": FUNCTIONS, "reward_weights": [1.0, 1.0]},
         "train.rl.reward_weights: needs one a reward, 3, not 2"),
        ({"data": FUNCTIONS | {"train_on_prompt": True}},
         "train.rl.data.train_on_prompt: rloo asks what the answer answers; set it to false"),
        ({"data": FUNCTIONS, "num_generations": 3},
         "train.rl.num_generations: the 8 answers of a step (effective batch size) are not whole"
         " prompts of 3; make them a multiple of it"),
        ({"data": FUNCTIONS, "tuner": {"type": "lora", "target_modules": ["q_proj", "lm_head"]}},
         "train.rl.tuner.target_modules: lm_head among them: does not go with rloo: "),
        ({"data": FUNCTIONS | {"reward_functions": ["rewards.py"]}},
         "train.rl.data.reward_functions.0: rewards.py must be FILE.py:NAME, such as"
         " rewards.py:brevity"),
        ({"data": FUNCTIONS | {"reward_functions": ["../rewards.py:f"]}},
         "train.rl.data.reward_functions.0: ../rewards.py must be in dataset_dir, beside the"
         " datasets"),
        ({"data": FUNCTIONS | {"reward_functions": ["/rewards.py:f"]}},
         "train.rl.data.reward_functions.0: /rewards.py must be in dataset_dir, beside the"
         " datasets"),
        ({"data": FUNCTIONS | {"reward_functions": ["a.py:f", "a.py:f"]}},
         "train.rl.data.reward_functions: a.py:f is listed twice"),
        ({"data": FUNCTIONS, "loss_type": "dapo"},
         "train.rl.loss_type: unknown key;"),
    ],
)  # fmt: skip
def test_what_cannot_be_rewarded(own: dict, said: str, tmp_path: Path):
    steps = REWARD | {"rl": {"after": "sft", "method": "rloo"} | own}
    (found,) = problems(written(tmp_path, steps))
    assert found.startswith(said)
