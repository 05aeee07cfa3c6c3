"""`data`: which datasets, and how they become tokens."""

from math import isclose
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from finery.params.section import Section

DatasetNames = Annotated[list[str], Field(min_length=1)]


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


class DataParams(Section):
    dataset_dir: Annotated[str, AfterValidator(_whole_in_a_command)] = "data/raw"
    """The folder with dataset_info.json, as LLaMA-Factory has it."""
    train: DatasetNames
    """Datasets to train on, by their names in dataset_info.json."""
    test: DatasetNames
    """Held-out datasets that the evaluation answers."""
    eval_dataset: list[str] = []
    """Datasets to watch the loss on, each on its own, beside the val_size share of the training."""
    mix_strategy: Literal["concat", "interleave_under", "interleave_over", "interleave_once"] = (
        "concat"
    )
    """How several datasets become one: one after another, or by turns until the first is used up
    (under), until each was (over: short ones come again), or until each was, once."""
    interleave_probs: list[Annotated[float, Field(gt=0, lt=1)]] | None = None
    """How often each dataset of `train` has its turn; null: all as often."""
    max_samples: Annotated[int, Field(ge=1)] | None = None
    """Rows of each dataset to use at most, its first."""
    max_total_samples: Annotated[int, Field(ge=1)] | None = None
    """Training samples to use at most, of all datasets together, its first after mixing."""
    on_bad_row: Literal["fail", "skip"] = "fail"
    """What to do about rows that cannot be used; those skipped go to rejected.jsonl."""
    deduplicate: Literal["off", "exact", "near"] = "off"
    """What to leave out of the training: nothing, or samples that say the same (exact), or nearly
    the same, as an earlier one or as one of the validation or of the tests."""
    variables: dict[str, str] | None = {}
    """Values for the {{name}} in the datasets; null leaves all such words as they are."""
    cutoff_len: Annotated[int, Field(ge=8, le=1_048_576)] = 1024
    """Longest sample, in tokens; what is longer loses its end."""
    packing: bool = False
    """Put short samples together up to cutoff_len; they do not see each other."""
    mask_history: bool = False
    """Train on the last turn of a conversation only."""
    train_on_prompt: bool = False
    """Train on the questions too."""
    val_size: Annotated[float, Field(ge=0, lt=1)] = 0.05
    """Share of the training samples held out to watch the loss."""
    calibration_samples: Annotated[int, Field(ge=1, le=4096)] = 64
    """Training samples that quantization calibrates on."""
    seed: Annotated[int, Field(ge=0)] = 42

    @property
    def names(self) -> list[str]:
        """All datasets, each once."""
        return list(dict.fromkeys([*self.train, *self.test, *self.eval_dataset]))

    @model_validator(mode="after")
    def _held_out(self) -> "DataParams":
        problems = []
        for key in ("train", "test", "eval_dataset"):
            names = getattr(self, key)
            if twice := sorted({name for name in names if names.count(name) > 1}):
                problems.append(f"{key}: {', '.join(twice)} is listed twice")
        if both := sorted(set(self.train) & set(self.test)):
            problems.append(f"test: {', '.join(both)} is trained on too; test on held-out data")
        if both := sorted(set(self.train) & set(self.eval_dataset)):
            problems.append(f"eval_dataset: {', '.join(both)} is trained on too; leave it to one")
        if self.mask_history and self.train_on_prompt:
            problems.append("train_on_prompt: true contradicts mask_history: true; choose one")
        if problems:
            raise ValueError("\n".join(problems))
        return self

    @model_validator(mode="after")
    def _one_share_a_dataset(self) -> "DataParams":
        shares = self.interleave_probs
        if shares is None:
            return self
        if self.mix_strategy == "concat":
            raise ValueError("interleave_probs: set mix_strategy to interleave_under or _over")
        if len(shares) != len(self.train):
            raise ValueError(
                f"interleave_probs: needs one for each of train, {len(self.train)}, not"
                f" {len(shares)}"
            )
        if not isclose(total := sum(shares), 1, abs_tol=1e-6):
            raise ValueError(f"interleave_probs: they must add up to 1, not {total:g}")
        return self
