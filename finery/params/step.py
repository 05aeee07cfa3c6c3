"""`train.STEP`: what every step of the training has, whatever its method."""

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, PrivateAttr

from finery.params.data import StepDataParams
from finery.params.section import Section
from finery.params.tuners.expansion import ExpansionParams
from finery.params.tuners.freeze import FreezeParams
from finery.params.tuners.full import FullParams
from finery.params.tuners.lora import LoraParams

Precision = Literal["auto", "fp32", "bf16", "fp16"]
Tuner = Annotated[
    LoraParams | FreezeParams | FullParams | ExpansionParams, Field(discriminator="type")
]


def _datasets_alone(value: Any) -> Any:
    return {"train": value} if isinstance(value, list) else value


StepData = Annotated[
    StepDataParams,
    BeforeValidator(_datasets_alone, json_schema_input_type=list[str] | StepDataParams),
]


class StepParams(Section):
    learns_from: ClassVar[tuple[str, ...]]
    """The kinds of datasets that the method can use: chat, text, preference, kto."""
    scores: ClassVar[bool] = False
    """Whether it makes a reward model, which scores answers and gives none."""
    judged: ClassVar[bool] = False
    """Whether it may come after one, to train the model that is judged."""
    after: str
    """The model that the step starts from: base, or the name of an earlier step."""
    method: str
    data: StepData
    """Datasets to train on, as [identity, handbook]; or a mapping of them, `train`, and of what
    this step has in another way than the section `data`."""
    tuner: Tuner
    learning_rate: Annotated[float, Field(gt=0, lt=1)] = 1e-4
    num_train_epochs: Annotated[float, Field(gt=0, le=1000)] = 3
    per_device_batch_size: Annotated[int, Field(ge=1)] = 1
    gradient_accumulation_steps: Annotated[int, Field(ge=1)] = 8
    """Batches summed into a step; effective batch size: this x per_device_batch_size x devices."""
    lr_scheduler_type: Literal["cosine", "linear", "constant", "constant_with_warmup"] = "cosine"
    warmup_ratio: Annotated[float, Field(ge=0, lt=1)] = 0.1
    """Share of the steps over which the learning rate rises."""
    weight_decay: Annotated[float, Field(ge=0)] = 0.0
    max_grad_norm: Annotated[float, Field(gt=0)] = 1.0
    precision: Precision = "auto"
    """auto: bf16 where the GPU has it, otherwise fp32."""
    gradient_checkpointing: bool = False
    """Recompute activations in the backward pass: less memory, about a third more time."""
    logging_steps: Annotated[int, Field(ge=1)] = 10
    eval_steps: Annotated[int, Field(ge=1)] = 100
    """Steps between two looks at the validation loss."""
    save_steps: Annotated[int, Field(ge=1)] = 100
    """Steps between two checkpoints: what a kill costs at most."""
    seed: Annotated[int, Field(ge=0)] = 42
    _name: str | None = PrivateAttr(None)

    @property
    def key(self) -> str:
        """Where params.yaml has it, such as train.sft."""
        return f"train.{self._name or self.method}"

    def named(self, name: str) -> "StepParams":
        self._name = name
        return self
