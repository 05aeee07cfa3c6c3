"""sft, then a reward model, then rloo on it and on a function: by `dvc repro`, to packages."""

from collections.abc import Callable

import pytest

from .project import A_FEW_STEPS, Project

REWARD = A_FEW_STEPS | {"after": "sft", "method": "reward", "data": ["preferences"]}
RL = A_FEW_STEPS | {
    "after": "reward",
    "method": "rloo",
    "data": {"train": ["identity"], "reward_functions": ["rewards.py:brevity"]},
    "num_generations": 2,
    "max_completion_length": 8,
}
BREVITY = "def brevity(completion):\n    return -len(completion) / 10\n"
MODELS = ("models/sft", "models/reward")


@pytest.mark.slow
def test_a_chain_of_rewards_through_dvc(new_project: Callable[[str], Project]) -> None:
    project = new_project("rewarded")
    project.set("train", {"sft": project.setting("train.sft"), "reward": REWARD, "rl": RL})
    project.set("merge.step", "rl")
    project.write("data/raw/rewards.py", BREVITY)
    outcome = project.repro()
    assert outcome.status == 0, outcome.output
    assert {
        f"{kind}@{name}" for kind in ("train", "merge") for name in ("sft", "reward", "rl")
    } <= (outcome.ran)
    assert (project.folder / "models/packages/gptq/MANIFEST.json").is_file()
    assert "rloo" in project.read("models/packages/merged/MANIFEST.json")

    before = project.contents(*MODELS, "models/adapters/rl")
    project.write("data/raw/rewards.py", BREVITY.replace("10", "20"))
    changed = project.repro("train@rl")
    prepared = {"prepare@sft", "prepare@reward", "prepare@rl"}
    assert (changed.status, changed.ran) == (0, prepared | {"train@rl"}), changed.output
    after = project.contents(*MODELS, "models/adapters/rl")
    differ = {name.split("/")[1] for name in before if after[name] != before[name]}
    assert differ == {"adapters"}
