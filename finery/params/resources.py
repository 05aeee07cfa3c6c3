"""`resources`: how flows run stages side by side; no stage depends on it."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.section import Section

StageName = Literal[
    "download",
    "start",
    "prepare",
    "prepare_test",
    "train",
    "merge",
    "quantize",
    "evaluate",
    "compare",
    "gate",
    "package",
]


class ResourcesParams(Section):
    accelerators: Annotated[int, Field(ge=1)] = 1
    """GPUs of this machine that stages may take; without a GPU, CPU-heavy stages at once."""
    num_gpus: dict[StageName, Annotated[int, Field(ge=0)]] = {
        "train": 1,
        "merge": 1,
        "quantize": 1,
        "evaluate": 1,
    }
    """How many of them a stage takes, by the module in stages/ that it runs; a stage left out takes
    none."""

    processes: Literal["auto"] | Annotated[int, Field(ge=1)] = "auto"
    """How many processes train a step together, one a GPU; auto: as many as there are GPUs that
    the stage sees, and as can share a step evenly. What is learnt stays the same."""

    def gpus(self, stage: str) -> int:
        """What a stage of dvc.yaml (quantize@gptq) takes; never more than there are."""
        name = stage.partition("@")[0].removesuffix("_quantized")
        return min(self.num_gpus.get(name, 0), self.accelerators)
