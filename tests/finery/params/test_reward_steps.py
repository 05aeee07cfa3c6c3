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


@pytest.mark.parametrize("method", ["sft", "pretrain", "reward"])
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
