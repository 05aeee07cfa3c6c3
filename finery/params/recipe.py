"""The settings that the artefacts are made by: the sections of params.yaml that stages read."""

from collections.abc import Iterator

from pydantic import model_validator

from finery.params.combinations import refused
from finery.params.data import DataParams, SharedDataParams
from finery.params.evaluate import EvaluateParams
from finery.params.gate import GateParams
from finery.params.merge import MergeParams
from finery.params.model import ModelParams
from finery.params.package import PackageParams
from finery.params.quantize import QuantizeParams
from finery.params.section import Section
from finery.params.train import TrainParams


class Recipe(Section):
    """One section a stage; a package records them all."""

    model: ModelParams
    data: SharedDataParams
    train: TrainParams
    merge: MergeParams
    quantize: QuantizeParams
    evaluate: EvaluateParams
    gate: GateParams
    package: PackageParams

    def data_of(self, step: str) -> DataParams:
        """The settings that the data of a step is prepared by."""
        return DataParams.of(self.data, self.train[step].data, step)

    def data_for(self, dataset: str) -> SharedDataParams:
        """The same, of the first step that learns from a dataset; `data` itself if none does."""
        steps = (self.data_of(step) for step in self.train)
        learnt = (data for data in steps if dataset in (*data.train, *data.eval_dataset))
        return next(learnt, self.data)

    @property
    def datasets(self) -> list[str]:
        """All datasets that are named, each once."""
        learnt = [name for step in self.train for name in self.data_of(step).names]
        return list(dict.fromkeys([*learnt, *self.data.test]))

    @model_validator(mode="after")
    def _steps_fit(self) -> "Recipe":
        if problems := list(dict.fromkeys(self._step_problems())):
            raise ValueError("\n".join(problems))
        return self

    def _step_problems(self) -> Iterator[str]:
        for step in self.train:
            try:
                yield from refused(self.train[step], self.data_of(step))
            except ValueError as error:
                yield from str(error).splitlines()
        if self.merge.step not in self.train:
            known = ", ".join(self.train)
            yield f"merge.step: no step {self.merge.step}; train has {known}"
        elif self.train[self.merge.step].scores:
            yield (
                f"merge.step: {self.merge.step} makes a reward model, which gives no answers to"
                f" evaluate; name a step that learns from it, or the one before it"
            )
