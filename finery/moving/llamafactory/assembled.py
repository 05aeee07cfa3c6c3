"""The drafts of a chain as one params.yaml: what all steps share, what a step has, the rest."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from pydantic import BaseModel

from finery.moving.llamafactory.chain import BASE, Step
from finery.moving.llamafactory.files.given import MovingError
from finery.moving.llamafactory.keys.draft import Draft, origin
from finery.moving.written import Flow, nested, written
from finery.params.data import SharedDataParams
from finery.params.evaluate import EvaluateParams
from finery.params.schema import Params

SHARED = ("mix_strategy", "max_samples", "cutoff_len", "packing", "mask_history",
          "train_on_prompt", "val_size")  # fmt: skip
"""What stands in `data` if all steps have it alike, and otherwise with each of them."""
OWN = ("train", "eval_dataset", "interleave_probs")
FIRST = ("after", "method", "data", "tuner")
FINERY = "Finery's: LLaMA-Factory has nothing of the kind"
WHOLE = ("loss", "optim_args", "lr_scheduler_kwargs", "quantization", "rope_scaling",
         "chat_template_kwargs", "variables", "num_gpus")  # fmt: skip
"""Settings that are a mapping, on one line."""


@dataclass
class Settings:
    """By dotted keys: values, where each came from, and the drafts that say what they became."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    targets: dict[str, list[tuple[Draft, str]]] = field(default_factory=dict)
    """Which keys of which draft a setting was made of."""

    def set(self, key: str, value: Any, origin: str) -> None:
        self.values[key], self.origins[key] = value, origin

    def take(self, draft: Draft, own: str, key: str) -> None:
        """A value of a draft, as a setting; its outcomes then name that."""
        self.set(key, draft.values[own], draft.origins[own])
        for outcome in draft.outcomes.values():
            if outcome.to == own:
                outcome.to = key
                self.targets.setdefault(key, []).append((draft, outcome.given.key))


def assembled(steps: Sequence[Step], others: Sequence[Draft]) -> Settings:
    """Everything that the files say; what params.yaml needs besides is not there yet."""
    settings = Settings()
    first = steps[0].draft
    settings.take(first, "model.source", "model.source")
    for step in steps:
        for key in ("chat_template_kwargs",):
            if f"data.{key}" in step.draft.values:
                settings.take(step.draft, f"data.{key}", f"data.{key}")
    alike = [key for key in SHARED if _alike(steps, key)]
    for key in alike:
        for step in reversed(steps):  # what the first of them says is its origin
            if f"data.{key}" in step.draft.values:
                settings.take(step.draft, f"data.{key}", f"data.{key}")
    for step in steps:
        _step(settings, step, [key for key in SHARED if key not in alike])
    for draft in others:
        for own in draft.values:
            settings.take(draft, own, own)
    _without_defaults(settings, steps)
    return settings


def text(settings: Settings, head: str) -> str:
    values = {
        key: Flow(value) if key.rpartition(".")[2] in WHOLE and isinstance(value, dict) else value
        for key, value in settings.values.items()
    }
    return written(nested(_sorted(values)), settings.origins, head)


def _alike(steps: Sequence[Step], key: str) -> bool:
    said = [step.draft.values.get(f"data.{key}") for step in steps]
    return all(value == said[0] for value in said)


def _step(settings: Settings, step: Step, own: Sequence[str]) -> None:
    at, draft = f"train.{step.name}", step.draft
    settings.set(f"{at}.after", step.after, _came_after(step) if step.after != BASE else "")
    mapping = [key for key in (*OWN[1:], *own) if f"data.{key}" in draft.values]
    if "data.train" not in draft.values:
        raise MovingError(f"{draft.source.name}: dataset: missing; there is nothing to learn from")
    data = f"{at}.data"
    settings.take(draft, "data.train", f"{data}.train" if mapping else data)
    for key in mapping:
        settings.take(draft, f"data.{key}", f"{data}.{key}")
    for target in list(draft.values):
        section, _, name = target.partition(".")
        if section == "tuner":
            settings.take(draft, target, f"{at}.tuner.{name}")
        elif section == "step":
            settings.take(draft, target, f"{at}.{name}")


def _came_after(step: Step) -> str:
    given = step.draft.source.given
    keys = ("reward_model", "adapter_name_or_path", "model_name_or_path")
    key = next((key for key in keys if step.draft.source.has(key)), None)
    return origin("")(given[key]) if key else ""


def _without_defaults(settings: Settings, steps: Sequence[Step]) -> None:
    """Settings that Finery has anyway are carried by being left away."""
    for step in steps:
        at = f"train.{step.name}"
        method = step.draft.values["step.method"]
        tuner = step.draft.values["tuner.type"]
        _forget(settings, f"{at}.tuner.", _class("tuners", tuner), ("type",))
        _forget(settings, f"{at}.", _class("methods", method), ("after", "method"))
    _forget(settings, "data.", SharedDataParams, ())
    _forget(settings, "evaluate.", EvaluateParams, ())


def _class(kind: str, name: str) -> type[BaseModel]:
    module = import_module(f"finery.params.{kind}.{name}")
    return getattr(module, f"{name.capitalize()}Params")


def _forget(settings: Settings, above: str, section: type[BaseModel], kept: Sequence[str]) -> None:
    for name, known in section.model_fields.items():
        key = f"{above}{name}"
        if name in kept or key not in settings.values:
            continue
        if _equal(settings.values[key], known.default):
            settings.values.pop(key)
            settings.origins.pop(key)
            for draft, own in settings.targets.pop(key, []):
                draft.outcomes[own].note = draft.outcomes[own].note or "is Finery's default"


def _equal(value: Any, default: Any) -> bool:
    if isinstance(value, bool) or isinstance(default, bool):
        return value is default
    return value == default or (isinstance(default, dict) and default == {value: 1.0}
                                if isinstance(value, str) else False)  # fmt: skip


def _sorted(values: dict[str, Any]) -> dict[str, Any]:
    """By section; in it as its schema has them; steps as they follow each other."""
    steps = list(dict.fromkeys(key.split(".")[1] for key in values if key.startswith("train.")))

    def place(key: str) -> tuple[int, ...]:
        section, *parts = key.split(".")
        at = SECTIONS.index(section)
        if section == "data":
            return (at, list(SharedDataParams.model_fields).index(parts[0]))
        if section == "train":
            inner = FIRST.index(parts[1]) if parts[1] in FIRST else len(FIRST)
            return (at, steps.index(parts[0]), inner)
        return (at,)

    return {key: values[key] for key in sorted(values, key=place)}


SECTIONS = tuple(Params.model_fields)


def counted(steps: Sequence[Step], counts: dict[str, int]) -> Iterator[str]:
    """Have numbers of validation samples made shares; yields what was only guessed."""
    for step in steps:
        values = step.draft.values
        if (count := values.pop("data.val_count", None)) is None:
            continue
        origin = step.draft.origins.pop("data.val_count")
        rows = sum(counts.get(name, 0) for name in values.get("data.train", []))
        share = round(min(count / rows, 0.5), 4) if rows else 0.05
        values["data.val_size"], step.draft.origins["data.val_size"] = share, origin
        step.draft.outcomes["val_size"].to = "data.val_size"
        said = f"a number of samples there; here the share of {rows} rows" if rows else (
            f"{count} samples there; the rows could not be counted, so it is a guess")  # fmt: skip
        step.draft.outcomes["val_size"].note = said
        if not rows:
            yield f"data.val_size: set the share that {count} samples are"
