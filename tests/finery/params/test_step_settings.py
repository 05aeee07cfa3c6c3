"""Settings of a step that do not go together, or are of something else: a line each."""

from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from finery.params.extras import missing
from finery.params.optimizers import REFUSED, WORKING
from finery.params.schedulers import NEEDED, SCHEDULERS
from finery.params.schema import ParamsError, load
from tests.steps import step

ROOT = Path(__file__).resolve().parents[3]


def problems(folder: Path, **changed: Any) -> list[str]:
    """What is said of the shipped params.yaml with other settings of its step."""
    params = YAML(typ="safe").load((ROOT / "params.yaml").read_text())
    own = params["train"]["sft"] | changed
    params["train"]["sft"] = {key: value for key, value in own.items() if value != "out"}
    YAML().dump(params, file := folder / "params.yaml")
    with pytest.raises(ParamsError) as error:
        load(file)
    return [problem.partition("train.sft.")[2] for problem in error.value.problems]


@pytest.mark.parametrize(("changed", "said"), [
    *(
        ({"optim": given}, f"optim: there is no optimizer {given}; did you mean {meant}?")
        for given, meant in {
            "adamw": "adamw_torch", "AdamW": "adamw_torch", "adam": "adamw_torch",
            "AdaFactor": "adafactor", "lion": "lion_8bit", "radam": "schedule_free_radam",
            "galore": "galore_adamw", "adamw_torhc": "adamw_torch",
        }.items()
    ),
    ({"optim": "grokadamw"}, "optim: grokadamw is not offered: resumed from a checkpoint it ends"
     " otherwise; take adamw_torch"),
    ({"optim": "galore_adamw", "optim_args": {"rnak": 4}}, "optim_args.rnak: galore_adamw has none"
     " such; did you mean rank?"),
    ({"optim_args": {"eps": 1e-6}}, "optim_args.eps: adamw_torch_fused has none such; take it out"),
    ({"optim": "sgd", "optim_args": {"momentum": [1]}}, "optim_args.momentum: must be a number, a"
     " word, true or false, not [1]"),
    ({"effective_batch_size": 16}, "effective_batch_size: follows from per_device_batch_size and"
     " gradient_accumulation_steps; take out one of the three"),
    ({"effective_batch_size": 20, "gradient_accumulation_steps": "out"}, "effective_batch_size: 20"
     " is no multiple of per_device_batch_size, 8; take 16 or 24"),
    ({"effective_batch_size": 3, "per_device_batch_size": "out", "gradient_accumulation_steps": 4},
     "effective_batch_size: 3 is no multiple of gradient_accumulation_steps, 4; take 4"),
    ({"max_steps": 0}, "max_steps: must be greater than or equal to 1, not 0"),
    ({"lr_scheduler_type": "cosine_with_min_lr"}, "lr_scheduler_kwargs: cosine_with_min_lr needs"
     " min_lr or min_lr_rate"),
    ({"lr_scheduler_kwargs": {"num_cycle": 1}}, "lr_scheduler_kwargs.num_cycle: cosine has none"
     " such; did you mean num_cycles?"),
    ({"lr_scheduler_type": "constant", "lr_scheduler_kwargs": {"power": 1}},
     "lr_scheduler_kwargs.power: constant takes none; take it out"),
    ({"lr_scheduler_type": "polynomial", "lr_scheduler_kwargs": {"lr_end": 0.5}},
     "lr_scheduler_kwargs.lr_end: 0.5 is not below learning_rate (0.001)"),
    ({"lr_scheduler_type": "polynomial", "learning_rate": 1e-8},
     "lr_scheduler_kwargs.lr_end: 1e-07 is not below learning_rate (1e-08)"),
    ({"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": {"num_decay_steps": 0.1}},
     "lr_scheduler_kwargs.num_decay_steps: must be a whole number from 0, not 0.1"),
    ({"lr_scheduler_type": "reduce_lr_on_plateau", "lr_scheduler_kwargs": {"mode": "least"}},
     "lr_scheduler_kwargs.mode: must be min or max, not least"),
    ({"early_stopping_patience": 0}, "early_stopping_patience: must be greater than or equal to 1,"
     " not 0"),
])  # fmt: skip
def test_a_line_says_what_is_wrong(changed: dict[str, Any], said: str, tmp_path: Path) -> None:
    assert problems(tmp_path, **changed) == [said]


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    changed = {
        "effective_batch_size": 16,
        "optim_args": {"eps": 1},
        "lr_scheduler_kwargs": {"x": 1},
    }
    assert len(problems(tmp_path, **changed)) == 3


@pytest.mark.parametrize("optim", REFUSED)
def test_what_is_not_offered_says_what_to_take(optim: str, tmp_path: Path) -> None:
    (said,) = problems(tmp_path, optim=optim)
    assert said == f"optim: {optim} is not offered: {REFUSED[optim]}"
    assert "; t" in REFUSED[optim]  # take, train


def test_every_name_of_transformers_is_known() -> None:
    from transformers.trainer_utils import SchedulerType
    from transformers.training_args import OptimizerNames

    assert {each.value for each in OptimizerNames} <= {*WORKING, *REFUSED}
    assert {each.value for each in SchedulerType} == set(SCHEDULERS)


def test_a_schedule_is_told_only_what_it_takes() -> None:
    import inspect

    from torch.optim.lr_scheduler import ReduceLROnPlateau
    from transformers.optimization import TYPE_TO_SCHEDULER_FUNCTION, GreedyLR

    classes = {"reduce_lr_on_plateau": ReduceLROnPlateau, "greedy": GreedyLR}
    for name, known in SCHEDULERS.items():
        made = classes.get(name, TYPE_TO_SCHEDULER_FUNCTION[name])
        assert set(known) <= set(inspect.signature(made).parameters), name
    assert all(set(needed) <= set(SCHEDULERS[name]) for name, needed in NEEDED.items())


@pytest.mark.parametrize(("given", "devices", "each", "summed"), [
    ({}, 1, 1, 8),
    ({"per_device_batch_size": 4}, 1, 4, 8),
    ({"gradient_accumulation_steps": 2}, 1, 1, 2),
    ({"effective_batch_size": 5}, 1, 5, 1),
    ({"effective_batch_size": 16}, 1, 8, 2),
    ({"effective_batch_size": 36}, 1, 6, 6),
    ({"effective_batch_size": 13}, 1, 1, 13),
    ({"effective_batch_size": 64}, 4, 8, 2),
    ({"effective_batch_size": 64, "per_device_batch_size": 2}, 4, 2, 8),
    ({"effective_batch_size": 64, "gradient_accumulation_steps": 4}, 4, 4, 4),
])  # fmt: skip
def test_batches(
    given: dict[str, int], devices: int, each: int, summed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", str(devices))
    assert step(**given).batch == (each, summed)


def test_an_optimizer_whose_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    params = step(optim="galore_adamw")
    assert list(missing(params)) == []
    monkeypatch.setattr("finery.params.extras.find_spec", lambda module: None)
    assert list(missing(params)) == [
        "optim: galore_adamw needs the package galore_torch; pip install 'finery[optimizers]' -c"
        " constraints.txt"
    ]
