"""`finery check` looks at the reward functions that steps name."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from finery.params.schema import load
from finery.preflight.rewards import unfit_functions

ROOT = Path(__file__).resolve().parents[3]


def test_a_line_for_each_function_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    names = ["rewards.py:good", "rewards.py:bad", "nowhere.py:f"]
    data = {"train": ["d"], "reward_functions": names}
    step = {"after": "sft", "method": "rloo", "data": data, "tuner": {"type": "lora"}}
    params["train"]["rl"] = step
    monkeypatch.chdir(tmp_path)
    YAML().dump(params, Path("params.yaml"))
    Path("data/raw").mkdir(parents=True)
    code = "def good(completion):\n    return 1\n\n\ndef bad(solution):\n    return 1\n"
    Path("data/raw/rewards.py").write_text(code)
    assert list(unfit_functions(load(Path("params.yaml")))) == [
        "train.rl.data.reward_functions.1: data/raw/rewards.py:5: bad asks for solution; there are"
        " prompt, completion, reference, of one answer, by these names",
        "train.rl.data.reward_functions.2: no such file data/raw/nowhere.py",
    ]
