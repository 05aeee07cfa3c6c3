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
from finery.params.quantized import quantized_problems
from finery.params.section import Section
from finery.params.starts import StartsParams, start_problems
from finery.params.step import StepParams
from finery.params.train import BASE, TrainParams


class Recipe(Section):
    """One section a stage; a package records them all."""

    model: ModelParams
    data: SharedDataParams
    starts: StartsParams
    """Released models that steps may start from, by a name for each: {champion:
    release:merged@prod}."""
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
        yield from start_problems(self.starts, self.train)
        yield from quantized_problems(self.model, self.train)
        yield from self._gate_problems()
        for name, step in self.train.items():
            try:
                data = self.data_of(name)
                yield from refused(step, data)
            except ValueError as error:
                yield from str(error).splitlines()
            else:
                yield from self._reward_problems(step, data)
        if self.merge.step not in self.train:
            known = ", ".join(self.train)
            yield f"merge.step: no step {self.merge.step}; train has {known}"
        elif self.train[self.merge.step].scores:
            yield (
                f"merge.step: {self.merge.step} makes a reward model, which gives no answers to"
                f" evaluate; name a step that learns from it, or the one before it"
            )

    def _gate_problems(self) -> Iterator[str]:
        """Rules for what is not evaluated would be measured on what is left from earlier runs."""
        formats = ", ".join(self.quantize.formats) or "none"
        for index, rule in enumerate(self.gate.rules):
            for key in ("model", "minus", "over"):
                name = getattr(rule, key)
                if name not in (None, BASE, "merged", *self.quantize.formats):
                    yield (
                        f"gate.rules.{index}.{key}: {name} is not made, quantize.formats has"
                        f" {formats}; add it there, or take the rule out"
                    )

    def _reward_problems(self, step: StepParams, data: DataParams) -> Iterator[str]:
        key, given = data.key("reward_functions"), data.reward_functions
        judge = self.train.get(step.after)
        models = judge is not None and judge.scores
        if given and not step.judged:
            yield f"{key}: {step.method} rewards nothing, only grpo and rloo do; take them out"
        if not step.judged:
            return
        if not given and not models:
            yield (
                f"{step.key}.after: nothing rewards the answers of {step.method}; go on from a step"
                f" of method reward, or name {step.key}.data.reward_functions"
            )
        weights, rewards = step.reward_weights, len(given) + models
        if weights is not None and len(weights) != rewards:
            yield f"{step.key}.reward_weights: needs one a reward, {rewards}, not {len(weights)}"
        if data.train_on_prompt:
            other = data.key("train_on_prompt")
            yield f"{other}: {step.method} asks what the answer answers; set it to false"
