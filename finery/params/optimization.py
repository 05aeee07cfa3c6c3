"""`train.STEP`: by which optimizer the weights are moved, how far and after what schedule."""

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from finery.params.optimizers import WORKING, args_problems, known_optimizer
from finery.params.schedulers import SCHEDULERS, scheduler_problems
from finery.params.section import Section


def _plain(values: dict[str, Any]) -> dict[str, Any]:
    """Numbers and words of Python's own types: the YAML reader's would get into checkpoints."""
    kinds = (bool, int, float, str)
    return {
        key: next((kind(value) for kind in kinds if isinstance(value, kind)), value)
        for key, value in values.items()
    }


Modules = Literal["all-linear"] | Annotated[list[str], Field(min_length=1)]
Own = Annotated[dict[str, Any], AfterValidator(_plain)]
Beta = Annotated[float, Field(ge=0, lt=1)]


class OptimizationParams(Section):
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    optim: Annotated[Literal[WORKING], BeforeValidator(known_optimizer)] = "adamw_torch_fused"  # type: ignore[valid-type]
    """The optimizer, by transformers' name of it; muon is torch.optim.Muon, for matrices alone."""
    optim_args: Own = {}
    """What only this optimizer has, such as {rank: 64} of galore_adamw."""
    optim_target_modules: Modules | None = None
    """Layers whose gradients galore and apollo project; null: all-linear for them."""
    adam_beta1: Beta = 0.9
    adam_beta2: Beta = 0.999
    adam_epsilon: Annotated[float, Field(gt=0)] = 1e-8
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    lr_scheduler_type: Literal[tuple(SCHEDULERS)] = "cosine"  # type: ignore[valid-type]
    lr_scheduler_kwargs: Own = {}
    """What only this schedule has, such as {min_lr: 1.0e-5} of cosine_with_min_lr."""
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the steps over which the learning rate rises."""
    warmup_steps: Annotated[int, Field(ge=0)] | None = None
    """How many they are, in the place of warmup_ratio."""
    neftune_noise_alpha: Annotated[float, Field(gt=0)] | None = None
    """Noise on the embeddings while training (NEFTune, Jain et al. 2023, arXiv:2310.05914)."""

    def optimization_problems(self) -> Iterator[str]:
        """What the schedule and the optimizer have not, a line each."""
        yield from scheduler_problems(
            self.lr_scheduler_type, self.lr_scheduler_kwargs, self.learning_rate
        )
        yield from args_problems(self.optim, self.optim_args)
