"""`data`: which datasets, and how they become tokens."""

from typing import Annotated

from pydantic import Field, model_validator

from finery.params.section import Section

DatasetNames = Annotated[list[str], Field(min_length=1)]


class DataParams(Section):
    dataset_dir: str = "data/raw"
    """The folder with dataset_info.json, as LLaMA-Factory has it."""
    train: DatasetNames
    """Datasets to train on, by their names in dataset_info.json."""
    test: DatasetNames
    """Held-out datasets that the evaluation answers."""
    variables: dict[str, str] = {}
    """Values for the {{placeholders}} in the datasets."""
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

    @model_validator(mode="after")
    def _held_out(self) -> "DataParams":
        problems = []
        for key in ("train", "test"):
            names = getattr(self, key)
            if twice := sorted({name for name in names if names.count(name) > 1}):
                problems.append(f"{key}: {', '.join(twice)} is listed twice")
        if both := sorted(set(self.train) & set(self.test)):
            problems.append(f"test: {', '.join(both)} is trained on too; test on held-out data")
        if self.mask_history and self.train_on_prompt:
            problems.append("train_on_prompt: true contradicts mask_history: true; choose one")
        if problems:
            raise ValueError("\n".join(problems))
        return self
