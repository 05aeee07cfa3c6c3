"""Whether a step of the training fits into the memory there is; if not, what would make it fit."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import reduce
from pathlib import Path

from finery.check.facts import read_model
from finery.check.memory.activations import Batch
from finery.check.memory.batches import prepared_batch
from finery.check.memory.room import Room
from finery.check.memory.shape import Shape, shape
from finery.check.memory.step import Need, gigabytes, step_memory
from finery.errors import UserError
from finery.models.load import CPU_DTYPE
from finery.params.by_tokens import tokens_at_once
from finery.params.data import DataParams
from finery.params.quantization import BnbParams
from finery.params.step import StepParams
from finery.params.tuners.lora import LoraParams

CLOSE = 1.15
"""How far the estimate may be above what is measured: less than that is no reason to refuse."""
SHORTEST = 64
NOTHING = "no setting makes it fit: choose a smaller model.source, or a larger machine"


class FitError(UserError):
    """A step of the training takes more memory than there is."""


@dataclass(frozen=True)
class Plan:
    """A step and the largest batch it takes; `said` is what was changed of params.yaml's."""

    params: StepParams
    batch: Batch
    said: tuple[str, ...] = ()

    def changed(self, said: str, batch: Batch | None = None, **settings: object) -> "Plan":
        params = self.params.model_copy(update=settings)
        return Plan(params, batch or self.batch, (*self.said, said))


@dataclass(frozen=True)
class Fitting:
    """A plan for a model of that shape, and the room there is for it.

    `cutoff` is the key that cuts the samples.
    """

    plan: Plan
    shape: Shape
    room: Room
    cutoff: str

    @property
    def need(self) -> Need:
        return self.needs(self.plan)

    @property
    def refused(self) -> bool:
        return self.need.total > CLOSE * self.room.size

    @property
    def what(self) -> str:
        """What the step takes of what there is, in words."""
        size = gigabytes(self.room.size)
        said = f"{self.plan.params.key} takes about {gigabytes(self.need.total)}"
        return f"{said} ({self.need.parts}) of the {size} of {self.room.of}"

    @property
    def advice(self) -> str:
        """The cheapest changes that make it fit, up to three, with what the step then takes.

        Cheapest is what costs time alone, then what costs exactness, then what costs data.
        """
        found: list[Plan] = []
        for plan in self._plans():
            needless = any(set(other.said) <= set(plan.said) for other in found)
            if not needless and self.fits(plan):
                found.append(plan)
        if not found:
            return NOTHING
        said = [f"{' and '.join(p.said)} ({gigabytes(self.needs(p).total)})" for p in found[:3]]
        return f"it fits with {', or '.join(said)}"

    def needs(self, plan: Plan) -> Need:
        half = plan.params.precision != "fp32" if self.room.gpu else CPU_DTYPE != "float32"
        return step_memory(self.shape, plan.params, plan.batch, half=half, gpu=self.room.gpu)

    def fits(self, plan: Plan) -> bool:
        return self.needs(plan).total <= self.room.size

    def _plans(self) -> Iterator[Plan]:
        """Each change alone and after all that cost less, in the order of their cost."""
        changes: list[Callable[[Plan], Plan]] = [
            self._checkpointed, self._in_smaller_batches, self._in_half_precision, self._by_lora,
            self._in_few_bits, self._shorter,
        ]  # fmt: skip
        before: list[Callable[[Plan], Plan]] = []
        for change in changes:
            if (alone := change(self.plan)) is not self.plan:
                before.append(change)
                yield alone
                yield reduce(lambda plan, each: each(plan), before, self.plan)

    def _checkpointed(self, plan: Plan) -> Plan:
        if plan.params.gradient_checkpointing:
            return plan
        said = f"{plan.params.key}.gradient_checkpointing: true"
        return plan.changed(said, gradient_checkpointing=True)

    def _in_smaller_batches(self, plan: Plan) -> Plan:
        """The most rows that fit, by halves, or one; as many summed into a step as before."""
        if tokens_at_once(plan.params, self.room.gpu):
            return plan  # the longest sample may be all of it
        rows, summed = plan.params.batch
        smaller = plan
        for each in _halves(rows, 1):
            said = f"{plan.params.key}.per_device_batch_size: {each}"
            settings = {"per_device_batch_size": each}
            if plan.params.effective_batch_size is None:
                settings["gradient_accumulation_steps"] = -(-rows * summed // each)
                said += f" with gradient_accumulation_steps: {-(-rows * summed // each)}"
            smaller = plan.changed(said, with_rows(plan.batch, rows, each), **settings)
            if self.fits(smaller):
                break
        return smaller

    def _in_half_precision(self, plan: Plan) -> Plan:
        if not self.room.gpu or plan.params.precision != "fp32":
            return plan
        return plan.changed(f"{plan.params.key}.precision: auto", precision="auto")

    def _by_lora(self, plan: Plan) -> Plan:
        if plan.params.tuner.type != "full":
            return plan
        tuner = LoraParams(type="lora")
        return plan.changed(f"{plan.params.key}.tuner: {{type: lora}}", tuner=tuner)

    def _in_few_bits(self, plan: Plan) -> Plan:
        params = plan.params
        if params.quantization is not None or params.tuner.type != "lora" or params.scores:
            return plan
        if isinstance(params.max_tokens_per_batch, int):
            return plan  # they do not go together
        said = f"{params.key}.quantization: {{method: bnb}}"
        return plan.changed(said, quantization=BnbParams(method="bnb"))

    def _shorter(self, plan: Plan) -> Plan:
        """The longest that fits, by halves, or the shortest worth trying."""
        shorter, tokens = plan, tokens_at_once(plan.params, self.room.gpu)
        for length in _halves(plan.batch.length, SHORTEST):
            said, settings = f"{self.cutoff}: {length}", {}
            if tokens:
                said += f" with {plan.params.key}.max_tokens_per_batch: {length}"
                settings = {"max_tokens_per_batch": length}
            shorter = plan.changed(said, shortened(plan.batch, length), **settings)
            if self.fits(shorter):
                break
        return shorter


def refuse_what_cannot_fit(
    params: StepParams, settings: DataParams, start: Path, data: Path, there: Room
) -> bool:
    """Whether training `start` on `data` leaves room to spare, as much again as it takes.

    Reads the headers of the weights and the lengths of the samples. Raises `FitError` if it takes
    more memory than there is; what is close is said.
    """
    model = shape(read_model(start))
    if model is None:
        return True
    batch = prepared_batch(params, data, settings.cutoff_len, there.gpu)
    fitting = Fitting(Plan(params, batch), model, there, settings.key("cutoff_len"))
    if fitting.refused:
        raise FitError(f"{fitting.what}; {fitting.advice}")
    if fitting.need.total > fitting.room.size:
        print(f"{fitting.what}: it may run out; {fitting.advice}")
    return 2 * fitting.need.total <= fitting.room.size


def with_rows(batch: Batch, before: int, rows: int) -> Batch:
    """The same samples, `rows` at once in the place of `before`."""
    part = -(-batch.rows * rows // before)
    counted = -(-batch.counted * rows // before)
    return replace(batch, rows=part, counted=counted, padded=batch.padded and part > 1)


def shortened(batch: Batch, length: int) -> Batch:
    """Cut to a length, with as large a share of counted tokens."""
    counted = -(-batch.counted * length // batch.length)
    return replace(batch, length=length, counted=counted, columns=min(batch.columns, length))


def _halves(number: int, least: int) -> Iterator[int]:
    while (number := number // 2) >= least:
        yield number
