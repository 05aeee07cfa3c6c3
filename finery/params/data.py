"""`data`: which datasets, and how they become tokens."""

import re
from collections.abc import Iterator
from math import isclose
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    Field,
    JsonValue,
    PrivateAttr,
    field_validator,
    model_validator,
)

from finery.params.section import Section

DatasetNames = Annotated[list[str], Field(min_length=1)]
MixStrategy = Literal["concat", "interleave_under", "interleave_over", "interleave_once"]
Count = Annotated[int, Field(ge=1)]
Length = Annotated[int, Field(ge=8, le=1_048_576)]
Share = Annotated[float, Field(ge=0, lt=1)]


def _whole_in_a_command(path: str) -> str:
    """dvc.yaml has it between double quotes in a command, of which DVC runs each line."""
    if signs := [sign for sign in '"$`\\' if sign in path]:
        raise ValueError(
            f"a shell would not read {' '.join(signs)} as it is; rename the folder, or link to it"
        )
    if not path.strip() or path.splitlines() != [path] or min(path) < " ":
        raise ValueError("must be the path of a folder, without line breaks and control characters")
    if path.startswith("~") or "://" in path:
        raise ValueError("must be the path of a folder, written out, from here or from /")
    return path


FUNCTION = r"^[^:]+\.py:[A-Za-z_]\w*$"


def _beside_the_datasets(named: str) -> str:
    if not re.match(FUNCTION, named):
        raise ValueError(f"{named} must be FILE.py:NAME, such as rewards.py:brevity")
    path = PurePosixPath(named.partition(":")[0])
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{path} must be in dataset_dir, beside the datasets")
    return named


RewardFunctionName = Annotated[
    str, AfterValidator(_beside_the_datasets), Field(json_schema_extra={"pattern": FUNCTION})
]


class SharedDataParams(Section):
    """`data`: what the steps of the training share; some of it a step can have its own way."""

    dataset_dir: Annotated[str, AfterValidator(_whole_in_a_command)] = "data/raw"
    """The folder with dataset_info.json, as LLaMA-Factory has it."""
    test: DatasetNames
    """Held-out datasets that the evaluation answers."""
    mix_strategy: MixStrategy = "concat"
    """How several datasets become one: one after another, or by turns until the first is used up
    (under), until each was (over: short ones come again), or until each was, once."""
    max_samples: Count | None = None
    """Rows of each dataset to use at most, its first."""
    max_total_samples: Count | None = None
    """Training samples to use at most, of all datasets together, its first after mixing."""
    on_bad_row: Literal["fail", "skip"] = "fail"
    """What to do about rows that cannot be used; those skipped go to rejected.jsonl."""
    deduplicate: Literal["off", "exact", "near"] = "off"
    """What to leave out of the training: nothing, or samples that say the same (exact), or nearly
    the same, as an earlier one or as one of the validation or of the tests."""
    variables: dict[str, str] | None = {}
    """Values for the {{name}} in the datasets; null leaves all such words as they are."""
    chat_template_kwargs: dict[str, JsonValue] = {}
    """Keywords for the chat template, such as enable_thinking: false; the same in training, in the
    evaluation and in the package."""
    cutoff_len: Length = 1024
    """Longest sample, in tokens; what is longer loses its end."""
    packing: bool = False
    """Put short samples together up to cutoff_len; they do not see each other."""
    mask_history: bool = False
    """Train on the last turn of a conversation only."""
    train_on_prompt: bool = False
    """Train on the questions too."""
    val_size: Share = 0.05
    """Share of the training samples held out to watch the loss."""
    calibration_samples: Annotated[int, Field(ge=1, le=4096)] = 64
    """Training samples that quantization calibrates on."""
    seed: Annotated[int, Field(ge=0)] = 42

    @field_validator("test")
    @classmethod
    def _each_once(cls, names: list[str]) -> list[str]:
        return once(names)

    def key(self, name: str) -> str:
        """A setting as params.yaml has it, such as data.val_size or train.sft.data.val_size."""
        return f"data.{name}"


class StepDataParams(Section):
    """`train.STEP.data`: the datasets of a step, and what it has in another way than `data`.

    A mere list is the datasets to train on.
    """

    train: DatasetNames
    """Datasets to train on, by their names in dataset_info.json."""
    eval_dataset: list[str] = []
    """Datasets to watch the loss on, each on its own, beside the val_size share of the training."""
    reward_functions: list[RewardFunctionName] = []
    """Functions that reward an answer, for grpo and rloo: FILE.py:NAME, the file in dataset_dir."""
    interleave_probs: list[Annotated[float, Field(gt=0, lt=1)]] | None = None
    """How often each dataset of `train` has its turn; null: all as often."""
    mix_strategy: MixStrategy | None = None
    max_samples: Count | None = None
    max_total_samples: Count | None = None
    cutoff_len: Length | None = None
    packing: bool | None = None
    mask_history: bool | None = None
    train_on_prompt: bool | None = None
    val_size: Share | None = None

    @field_validator("train", "eval_dataset", "reward_functions")
    @classmethod
    def _each_once(cls, names: list[str]) -> list[str]:
        return once(names)


class DataParams(SharedDataParams):
    """What prepare is handed: the settings of `data` as one step has them, and its datasets."""

    train: DatasetNames
    eval_dataset: list[str] = []
    reward_functions: list[RewardFunctionName] = []
    interleave_probs: list[Annotated[float, Field(gt=0, lt=1)]] | None = None
    _keys: dict[str, str] = PrivateAttr(default_factory=dict)

    @classmethod
    def of(cls, shared: SharedDataParams, own: StepDataParams, step: str) -> "DataParams":
        """What the step `own` is of makes of `shared`. Raises `ValueError`, by the key at fault."""
        given = {key: value for key, value in own.model_dump().items() if value is not None}
        params = cls.model_construct(**shared.model_dump() | given)
        params._keys.update({key: f"train.{step}.data.{key}" for key in given})
        if problems := list(params._problems()):
            raise ValueError("\n".join(problems))
        return params

    @property
    def names(self) -> list[str]:
        """All datasets, each once."""
        return list(dict.fromkeys([*self.train, *self.test, *self.eval_dataset]))

    def key(self, name: str) -> str:
        return self._keys.get(name) or super().key(name)

    @model_validator(mode="after")
    def _consistent(self) -> "DataParams":
        if problems := list(self._problems()):
            raise ValueError("\n".join(problems))
        return self

    def _problems(self) -> Iterator[str]:
        """What cannot be meant, a line each, behind the key that it is in."""
        if both := sorted(set(self.train) & set(self.test)):
            named = ", ".join(both)
            yield f"{self.key('test')}: {named} is trained on too; test on held-out data"
        if both := sorted(set(self.train) & set(self.eval_dataset)):
            named = ", ".join(both)
            yield f"{self.key('eval_dataset')}: {named} is trained on too; leave it to one"
        if self.mask_history and self.train_on_prompt:
            other = self.key("mask_history")
            yield f"{self.key('train_on_prompt')}: true contradicts {other}: true; choose one"
        shares = self.interleave_probs
        if shares is None:
            return
        key = self.key("interleave_probs")
        if self.mix_strategy == "concat":
            yield f"{key}: set mix_strategy to interleave_under or _over"
        elif len(shares) != len(self.train):
            yield f"{key}: needs one for each of train, {len(self.train)}, not {len(shares)}"
        elif not isclose(total := sum(shares), 1, abs_tol=1e-6):
            yield f"{key}: they must add up to 1, not {total:g}"


def once(names: list[str]) -> list[str]:
    """The names, if each is listed once. Raises `ValueError` otherwise."""
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise ValueError(f"{', '.join(twice)} is listed twice")
    return names
