"""sft, then a reward model, then rloo on it: through the stages, from datasets to a model."""

import csv
import json
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from finery import lineage
from finery.data.prepared import read_parquet
from finery.errors import UserError
from finery.merging.fidelity import compare
from finery.models.load import load_model
from finery.models.policy import policy_of
from finery.models.scoring import is_scorer
from finery.models.tokenizer import load_tokenizer
from finery.params.data import DataParams
from finery.params.merge import MergeParams
from finery.params.step import StepParams
from finery.reward_functions import KEPT
from finery.training.prompts import read_prompts
from stages.merge import merge
from stages.prepare import prepare
from stages.train import train
from tests.steps import step

QUICK = {
    "tuner": {"type": "lora", "rank": 4, "alpha": 8}, "precision": "fp32", "learning_rate": 1e-2,
    "gradient_accumulation_steps": 1, "per_device_batch_size": 8, "warmup_ratio": 0.0,
    "logging_steps": 1, "lr_scheduler_type": "constant", "num_train_epochs": 4,
}  # fmt: skip
STEPS: dict[str, dict[str, Any]] = {
    "sft": {"data": ["talk"]},
    "reward": {"after": "sft", "method": "reward", "data": ["preferred"]},
    "rl": {
        "after": "reward", "method": "rloo", "temperature": 0.3, "max_completion_length": 8,
        "per_device_batch_size": 16, "beta": 0.01, "reward_weights": [1.0, 0.5],
        "data": {"train": ["talk"], "reward_functions": ["mine/rewards.py:polite"]},
    },
}  # fmt: skip
POLITE = "def polite(prompt, completion, reference):\n    return float('boats' in reference)\n"


@pytest.fixture(scope="module")
def datasets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Questions whose answers begin with yes and no, and preferences for yes."""
    folder = tmp_path_factory.mktemp("raw")
    asked = [f"How many boats are in harbour {n}?" for n in range(24)]
    answers = [("The boats are here.", "What is it?")[n % 2] for n in range(24)]
    tables = {
        "talk": [{"instruction": q, "output": a} for q, a in zip(asked, answers, strict=True)],
        "preferred": [
            {"instruction": q, "chosen": f"The boats {n}.", "rejected": f"What {n}?"}
            for n, q in enumerate(asked)
        ],
        "test": [{"instruction": "Who?", "output": "Nobody."}],
    }
    info: dict[str, dict[str, Any]] = {name: {"file_name": f"{name}.json"} for name in tables}
    columns = {"prompt": "instruction", "chosen": "chosen", "rejected": "rejected"}
    info["preferred"] |= {"ranking": True, "columns": columns}
    for name, rows in tables.items():
        (folder / f"{name}.json").write_text(json.dumps(rows))
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "mine").mkdir()
    (folder / "mine/rewards.py").write_text(POLITE)
    return folder


@pytest.fixture(scope="module")
def chain(tiny_model: Path, datasets: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder where the three stages of each of `STEPS` left what they make."""
    with chdir(tmp_path_factory.mktemp("chain")):
        Path("models").mkdir()
        Path("models/base").symlink_to(tiny_model)
        for name, own in STEPS.items():
            made(name, step(**QUICK | own).named(name), datasets)
        return Path.cwd()


def made(name: str, params: StepParams, datasets: Path) -> None:
    data = Path("data") / name
    own = params.data.model_dump(exclude_none=True) | {"test": ["test"], "val_size": 0.1}
    prepare(
        DataParams(**own), name, datasets, Path("models/base"),
        **{key: data / key for key in ("train", "calibration")},
        **{key: made_file(data / key) for key in ("metrics", "rejected", "plot")},
    )  # fmt: skip
    start, adapter = Path("models") / params.after, Path("adapters") / name
    train(
        params, name, start, data / "train",
        adapter=adapter, checkpoints=Path("checkpoints") / name,
        **{key: made_file(Path("reports") / name / key) for key in ("loss", "plot", "metrics")},
    )  # fmt: skip
    merge(
        MergeParams(step="rl", dtype="float32"), name, start, adapter, data / "calibration",
        merged=Path("models") / name, metrics=Path("reports") / name / "merge",
    )  # fmt: skip


def made_file(file: Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    return file


def test_the_reward_model_tells_better_from_worse(chain: Path):
    measured = json.loads((chain / "reports/reward/metrics").read_text())
    assert measured["accuracy"] == measured["eval_accuracy"] == 1
    assert is_scorer(chain / "models/reward")
    for file in (chain / "models/sft").iterdir():
        assert (chain / "models/reward/policy" / file.name).read_bytes() == file.read_bytes()


def test_the_model_is_rewarded_more(chain: Path):
    with (chain / "reports/rl/loss").open() as stream:
        rewards = [float(row["reward"]) for row in csv.DictReader(stream)]
    assert sum(rewards[-5:]) > sum(rewards[:5]) + 1


def test_what_it_started_from_is_the_model_that_is_judged(chain: Path):
    config = json.loads((chain / "adapters/rl/adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "models/reward/policy"
    sft, rl = (load_model(chain / "models" / name, "float32") for name in ("sft", "rl"))
    assert type(sft) is type(rl)
    assert all((chain / "models/rl" / f.name).exists() for f in (chain / "models/sft").iterdir())
    assert not (chain / "models/rl/policy").exists()
    fidelity = json.loads((chain / "reports/rl/merge").read_text())["exact"]
    assert fidelity["relative_difference"] < 1e-5 and fidelity["top1_agreement"] == 1
    ids = read_parquet(chain / "data/rl/train/train.parquet")[0]["input_ids"]
    logits = [logits_of(model, ids) for model in (sft, rl)]
    assert compare(logits[:1], logits[1:])["max_logit_difference"] > 1e-2
    records = list(lineage.read(chain / "models/rl"))
    assert records == [
        f"{stage}@{name}" for name in STEPS for stage in ("prepare", "train", "merge")
    ]  # fmt: skip


def logits_of(model: Any, ids: list[int]) -> Any:
    import torch

    with torch.inference_mode():
        return model(input_ids=torch.tensor([ids])).logits[0]


def test_the_prompts_are_those_of_the_template(chain: Path):
    tokenizer = load_tokenizer(chain / "models/rl")
    rows = read_prompts(chain / "data/rl/train/train.parquet", step(**QUICK | STEPS["rl"]))
    for row in rows:
        text = tokenizer.decode(row["prompt"])
        question = text.partition("user\n")[2].partition("<|im_end|>")[0]
        asked = [{"role": "user", "content": question}]
        ids = tokenizer.apply_chat_template(asked, add_generation_prompt=True, return_dict=False)
        assert row["prompt"] == ids
        assert tokenizer.decode(row["tail"]) == "\n"


def test_the_functions_are_kept_with_the_samples(chain: Path):
    assert (chain / "data/rl/train" / KEPT / "mine/rewards.py").read_text() == POLITE
    record = lineage.read(chain / "data/rl/train")["prepare@rl"]
    assert record["reward_functions"].keys() == {"mine/rewards.py"}


def test_a_function_that_is_not_there_stops_prepare(chain: Path, datasets: Path, tmp_path: Path):
    data = {"train": ["talk"], "reward_functions": ["mine/rewards.py:police"]}
    with chdir(tmp_path), pytest.raises(UserError, match="no function police; did you mean polite"):
        made("rl", step(**QUICK | STEPS["rl"] | {"data": data}), datasets)
    assert policy_of(chain / "models/sft") == chain / "models/sft"
