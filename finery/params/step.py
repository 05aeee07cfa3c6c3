"""`train.STEP`: what every step of the training has, whatever its method."""

from collections.abc import Iterator
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from finery.params.data import StepDataParams
from finery.params.engine import EngineParams
from finery.params.optimization import OptimizationParams
from finery.params.pace import PaceParams
from finery.params.quantization import Quantization
from finery.params.schedulers import WATCHING
from finery.params.tuners.adalora import AdaloraParams
from finery.params.tuners.boft import BoftParams
from finery.params.tuners.expansion import ExpansionParams
from finery.params.tuners.fourierft import FourierftParams
from finery.params.tuners.freeze import FreezeParams
from finery.params.tuners.full import FullParams
from finery.params.tuners.hra import HraParams
from finery.params.tuners.ia3 import Ia3Params
from finery.params.tuners.ln_tuning import LnTuningParams
from finery.params.tuners.loha import LohaParams
from finery.params.tuners.lokr import LokrParams
from finery.params.tuners.lora import LoraParams
from finery.params.tuners.miss import MissParams
from finery.params.tuners.oft import OftParams
from finery.params.tuners.randlora import RandloraParams
from finery.params.tuners.vera import VeraParams

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Tuner = Annotated[
    LoraParams
    | AdaloraParams
    | BoftParams
    | ExpansionParams
    | FourierftParams
    | FreezeParams
    | FullParams
    | HraParams
    | Ia3Params
    | LnTuningParams
    | LohaParams
    | LokrParams
    | MissParams
    | OftParams
    | RandloraParams
    | VeraParams,
    Field(discriminator="type"),
]


def _datasets_alone(value: Any) -> Any:
    return {"train": value} if isinstance(value, list) else value


StepData = Annotated[
    StepDataParams,
    BeforeValidator(_datasets_alone, json_schema_input_type=list[str] | StepDataParams),
]


class StepParams(OptimizationParams, PaceParams, EngineParams):
    learns_from: ClassVar[tuple[str, ...]]
    """The kinds of datasets that the method can use: chat, text, preference, kto."""
    scores: ClassVar[bool] = False
    """Whether it makes a reward model, which scores answers and gives none."""
    judged: ClassVar[bool] = False
    """Whether it may come after one, to train the model that is judged."""
    after: str
    """The model that the step starts from: base, the name of an earlier step, or of one of
    `starts`."""
    method: str
    data: StepData
    """Datasets to train on, as [identity, handbook]; or a mapping of them, `train`, and of what
    this step has in another way than the section `data`."""
    tuner: Tuner
    quantization: Quantization | None = None
    """Hold the model in a few bits while an adapter is trained on it (QLoRA), as {method: bnb};
    the adapter is merged into the model in full precision."""
    freeze_vision: bool = True
    """Of a model that reads images, train the language model alone: neither the tower that sees
    nor the projector that leads from it into the language model."""
    precision: Precision = "auto"
    """auto: bf16 where the GPU has it, otherwise fp32."""
    seed: Annotated[int, Field(ge=0)] = 42
    _name: str | None = PrivateAttr(None)

    @model_validator(mode="after")
    def _fits_together(self) -> "StepParams":
        if problems := list(self._problems()):
            raise ValueError("\n".join(problems))
        return self

    def _problems(self) -> Iterator[str]:
        yield from self.batch_problems()
        yield from self.optimization_problems()
        yield from self.engine_problems()

    def watches(self, key: str) -> bool:
        """Whether a setting follows what is measured on the validation split."""
        value = getattr(self, key)
        return value in WATCHING if key == "lr_scheduler_type" else bool(value)

    @property
    def key(self) -> str:
        """Where params.yaml has it, such as train.sft."""
        return f"train.{self._name or self.method}"

    def named(self, name: str) -> "StepParams":
        self._name = name
        return self
