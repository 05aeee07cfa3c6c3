"""`finery import llamafactory`: LLaMA-Factory's files become params.yaml, and nothing is lost."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from finery.moving.llamafactory.assembled import FINERY, Settings, assembled, counted
from finery.moving.llamafactory.chain import Step, chained, last_step
from finery.moving.llamafactory.datasets import Wishes, learnt, settle_data
from finery.moving.llamafactory.files.reading import read
from finery.moving.llamafactory.fitted import fitted
from finery.moving.llamafactory.folder import look
from finery.moving.llamafactory.keys.draft import LEFT, NOTED, UNKNOWN, Draft, Outcome
from finery.moving.llamafactory.keys.table import drafted
from finery.moving.llamafactory.report import as_json, markdown
from finery.moving.put import put
from finery.params.schema import Params, load

PLAIN = Wishes()
REPORT = Path("reports/import")
HEAD = """# yaml-language-server: $schema=params.schema.json
# Made by `finery import llamafactory` of {files}.
# Every setting says where it came from.
# What is not here is as Finery has it anyway; `finery check` looks at it all.
"""
SECRET = ("token", "api_key", "secret", "webhook_url")


@dataclass
class Brought:
    text: str
    drafts: list[Draft]
    steps: dict[str, Draft]
    """The trainings, by the names of their steps."""
    todo: list[str] = field(default_factory=list)
    kept: Path | None = None
    """Where the old params.yaml is."""


def bring(files: Sequence[str], wishes: Wishes = PLAIN) -> Brought:
    """Write params.yaml, the data that it holds out, and a report of every key.

    Raises `MovingError` for what is no file of LLaMA-Factory's, or cannot become a pipeline.
    """
    sources = read(files)
    for source in sources:
        source.gpus = wishes.gpus or source.gpus
    drafts = [drafted(Draft(source)) for source in sources]
    steps = chained(drafts)
    todo: list[str] = []
    folder = look(sources[0], learnt(steps), wishes.data)
    todo += counted(steps, folder.counts if folder else {})
    last = last_step(drafts, steps)
    settings = assembled(steps, [draft for draft in drafts if draft.source.task != "train"])
    _rest(settings, steps, drafts, last, wishes, todo)
    settle_data(settings, steps, drafts, folder, wishes, todo)
    head = HEAD.format(files=_shown(files))
    names = {step.name: step.draft for step in steps}
    brought = Brought(fitted(settings, head), drafts, names, todo)
    todo += _misunderstood(drafts)
    if wishes.write:
        _write(brought, wishes)
    return brought


def _write(brought: Brought, wishes: Wishes) -> None:
    brought.kept = put(brought.text, wishes.params)
    REPORT.mkdir(parents=True, exist_ok=True)
    found = as_json(_without_secrets(brought.drafts), brought.todo)
    text = json.dumps(found, indent=2, ensure_ascii=False, default=str) + "\n"
    (REPORT / "llamafactory.json").write_text(text, "utf-8")
    (REPORT / "llamafactory.md").write_text(markdown(brought.drafts, brought.todo), "utf-8")


def _without_secrets(drafts: Sequence[Draft]) -> Sequence[Draft]:
    """Reports are in git; tokens are not to be."""
    for draft in drafts:
        for key, outcome in draft.outcomes.items():
            if key.endswith(SECRET) and outcome.given.value:
                hidden = type(outcome.given)(key, "(not shown)", outcome.given.where)
                outcome.given = hidden
    return drafts


def _rest(
    settings: Settings,
    steps: Sequence[Step],
    drafts: Sequence[Draft],
    last: str,
    wishes: Wishes,
    todo: list[str],
) -> None:
    """The sections that LLaMA-Factory has nothing for."""
    for key, section in Params.model_fields.items():
        said = any(name.startswith(f"{key}.") for name in settings.values)
        if section.is_required() and not said and key not in ("merge", "quantize", "package"):
            settings.set(key, {}, "")
    settings.set("merge.step", last, _exported(drafts) or "the last of the chain")
    settings.values.setdefault("merge.dtype", "bfloat16")
    settings.values.setdefault("quantize.formats", [])
    if (gpus := max(step.draft.source.gpus for step in steps)) > 1:
        settings.set("resources.accelerators", gpus, "what LLaMA-Factory trained on")
        counts = {"train": gpus, "merge": 1, "quantize": 1, "evaluate": 1}
        settings.set("resources.num_gpus", counts, "")
    source = settings.values["model.source"]
    if "package.name" not in settings.values:
        name = re.sub(r"[^A-Za-z0-9._-]+", "-", source.partition("@")[0].rsplit("/", 1)[-1])
        settings.set("package.name", f"{name.strip('-._') or 'model'}-{last}", FINERY)
    settings.set("package.license", "unknown", "the base model's licence usually binds: name it")
    todo.append(
        "package.license: name the base model's licence, and package.language the languages"
    )
    if wishes.keep_model:
        _keep_model(settings, steps, wishes.params)
    elif source.startswith("path:") and not Path(source.removeprefix("path:")).is_dir():
        todo.append(f"model.source: {source.removeprefix('path:')} is not on this machine")


def _exported(drafts: Sequence[Draft]) -> str | None:
    return next((draft.source.name for draft in drafts if draft.source.task == "export"), None)


def _keep_model(settings: Settings, steps: Sequence[Step], path: Path) -> None:
    """And train it in numbers that any machine has."""
    old = load(path)
    draft = steps[0].draft
    given = draft.source.given.get("model_name_or_path")
    for key, value in old.model.model_dump().items():
        if value not in (None, False):
            settings.set(f"model.{key}", value, f"kept as {path} had it")
    for step in steps:
        settings.values.pop(f"train.{step.name}.precision", None)
        for outcome in step.draft.outcomes.values():
            if outcome.to == f"train.{step.name}.precision":
                outcome.fate, outcome.note = NOTED, "auto, for the model that is kept"
    if given:
        note = f"{path}'s is kept: {old.model.source}"
        draft.outcomes[given.key] = Outcome(given, LEFT, "", note)


def _misunderstood(drafts: Sequence[Draft]) -> list[str]:
    return [
        f"{each.given.where}: {each.given.key}: {each.note}"
        for draft in drafts
        for each in draft.outcomes.values()
        if each.fate == UNKNOWN
    ]


def _shown(files: Sequence[str]) -> str:
    text = " ".join(Path(file).name for file in files)
    return text if len(text) < 60 else text[:57] + "..."
