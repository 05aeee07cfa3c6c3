"""`finery import llamafactory`: LLaMA-Factory's files become params.yaml, and nothing is lost."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from finery.moving.llamafactory.assembled import FINERY, Settings, assembled, counted, fitted
from finery.moving.llamafactory.chain import Step, chained, last_step
from finery.moving.llamafactory.draft import LEFT, NOTED, UNKNOWN, Draft, Outcome
from finery.moving.llamafactory.folder import Folder, held_out, look
from finery.moving.llamafactory.given import MovingError, Source
from finery.moving.llamafactory.reading import read
from finery.moving.llamafactory.report import as_json, markdown
from finery.moving.llamafactory.table import drafted
from finery.moving.put import put

REPORT = Path("reports/import")
HEAD = """# yaml-language-server: $schema=params.schema.json
# Made by `finery import llamafactory` of {files}.
# Every setting says where it came from.
# What is not here is as Finery has it anyway; `finery check` looks at it all.
"""
NAMELESS = "held_out"
SECRET = ("token", "api_key", "secret", "webhook_url")


@dataclass(frozen=True)
class Wishes:
    """What is asked for besides the files."""

    params: Path = Path("params.yaml")
    data: Path | None = None
    """The folder of the datasets, if it is not where the files say."""
    tests: tuple[str, ...] = ()
    """Datasets to ask in the evaluation."""
    gpus: int | None = None
    """How many LLaMA-Factory trained on; None: as the commands say."""
    keep_model: bool = False
    """Leave the model of the params.yaml that is there."""
    write: bool = True


@dataclass
class Brought:
    text: str
    drafts: list[Draft]
    todo: list[str] = field(default_factory=list)
    kept: Path | None = None
    """Where the old params.yaml is."""


def bring(files: Sequence[str], wishes: Wishes = Wishes()) -> Brought:
    """Write params.yaml, the data that it holds out, and a report of every key.

    Raises `MovingError` for what is no file of LLaMA-Factory's, or cannot become a pipeline.
    """
    sources = read(files)
    for source in sources:
        source.gpus = wishes.gpus or source.gpus
    drafts = [drafted(Draft(source)) for source in sources]
    steps = chained(drafts)
    todo: list[str] = []
    folder = look(sources[0], _learnt(steps), wishes.data)
    todo += counted(steps, folder.counts if folder else {})
    last = last_step(drafts, steps)
    settings = assembled(steps, [draft for draft in drafts if draft.source.task != "train"])
    _rest(settings, steps, drafts, last, wishes, todo)
    _data(settings, steps, drafts, folder, wishes, todo)
    head = HEAD.format(files=_shown(files))
    brought = Brought(fitted(settings, head), drafts, todo)
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


def _learnt(steps: Sequence[Step]) -> list[str]:
    values = [step.draft.values for step in steps]
    found = [name for v in values for name in [*v.get("data.train", []),
                                               *v.get("data.eval_dataset", [])]]  # fmt: skip
    return list(dict.fromkeys(found))


def _rest(
    settings: Settings,
    steps: Sequence[Step],
    drafts: Sequence[Draft],
    last: str,
    wishes: Wishes,
    todo: list[str],
) -> None:
    """The sections that LLaMA-Factory has nothing for."""
    for key, value in (("starts", {}), ("evaluate", {}), ("gate", {})):
        if not any(name.startswith(f"{key}.") for name in settings.values):
            settings.set(key, value, "")
    settings.set("merge.step", last, _exported(drafts) or "the last of the chain")
    settings.values.setdefault("merge.dtype", "bfloat16")
    for name in ("gptq", "awq"):
        settings.values.setdefault(f"quantize.{name}.group_size", 128)
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
    """And the group sizes, which must divide its widths."""
    from finery.params.schema import load

    old = load(path)
    draft = steps[0].draft
    given = draft.source.given.get("model_name_or_path")
    for key, value in old.model.model_dump().items():
        if value not in (None, False):
            settings.set(f"model.{key}", value, f"kept as {path} had it")
    for name in ("gptq", "awq"):
        size = getattr(old.quantize, name).group_size
        settings.set(f"quantize.{name}.group_size", size, f"kept as {path} had it")
    if given:
        note = f"{path}'s is kept: {old.model.source}"
        draft.outcomes[given.key] = Outcome(given, LEFT, "", note)


def _data(
    settings: Settings, steps: Sequence[Step], drafts: Sequence[Draft], folder: Folder | None,
    wishes: Wishes, todo: list[str],
) -> None:  # fmt: skip
    """dataset_dir, the tests, and the variables that the datasets leave open."""
    learnt = _learnt(steps)
    tests = _tests(settings, steps, drafts, folder, wishes)
    first = steps[0].draft.source
    said = first.path("dataset_dir") or "data"
    if folder is None:
        settings.set("data.dataset_dir", said, first.given["dataset_dir"].where
                     if first.has("dataset_dir") else "LLaMA-Factory's default")  # fmt: skip
        todo.append(f"data.dataset_dir: {said}: has not all of {', '.join(learnt)}; set it to the"
                    " folder with dataset_info.json")  # fmt: skip
        if not tests:
            tests = [NAMELESS]
            todo.append("data.test: name a dataset that is not trained on")
            settings.origins["data.test"] = "name a dataset that is not trained on"
    elif folder.own and tests:
        settings.set("data.dataset_dir", _from_here(folder.path), _where(first))
    else:
        tests = _held_out(settings, steps, folder, tests, wishes, todo)
    settings.values["data.test"] = tests
    settings.origins.setdefault("data.test", FINERY)
    if folder is not None and folder.variables:
        name = settings.values["package.name"]
        known = {"name": name, "author": f"the authors of {name}"}
        words = {word: known.get(word, f"({word})") for word in folder.variables}
        settings.set(
            "data.variables", words, "{{name}} and the like in the data: say what they are"
        )
        todo.append(f"data.variables: say what {', '.join(folder.variables)} are")


def _held_out(
    settings: Settings, steps: Sequence[Step], folder: Folder, tests: list[str], wishes: Wishes,
    todo: list[str],
) -> list[str]:  # fmt: skip
    data = [step for step in steps if step.draft.values["step.method"] in ("sft", "rloo")]
    learnt = [] if tests else _learnt(data or steps)
    most = settings.values.get("data.max_samples")
    path, asked, shared = held_out(folder, learnt, most, wishes.write)
    settings.set("data.dataset_dir", str(path), f"copied from {folder.path}")
    if asked:
        settings.origins["data.test"] = f"held out of {', '.join(learnt)}: up to 20 rows of each"
    if asked and shared:
        settings.set("data.deduplicate", "exact", "what is asked is not trained on")
    if not (tests or asked):
        todo.append("data.test: name a dataset that is not trained on")
        settings.origins["data.test"] = "name a dataset that is not trained on"
    return tests or asked or [NAMELESS]


def _tests(
    settings: Settings, steps: Sequence[Step], drafts: Sequence[Draft], folder: Folder | None,
    wishes: Wishes,
) -> list[str]:  # fmt: skip
    """Those that are asked for; of predictions; or conversations that a loss is watched on."""
    trained = {name for step in steps for name in step.draft.values.get("data.train", [])}
    if wishes.tests:
        settings.origins["data.test"] = "--test"
        if both := trained & set(wishes.tests):
            raise MovingError(f"--test {', '.join(sorted(both))}: is trained on; test on others")
        return list(wishes.tests)
    asked = settings.values.get("data.test", [])
    for draft in drafts:
        overlap = [name for name in draft.values.get("data.test", []) if name in trained]
        for key in ("eval_dataset", "dataset") if overlap else ():
            if draft.has(key):
                note = f"{', '.join(overlap)} is trained on, so it is no test"
                kept = len(overlap) < len(draft.values["data.test"])
                draft.outcomes[key] = Outcome(draft.source.given[key], NOTED if kept else LEFT,
                                              "data.test" if kept else "", note)  # fmt: skip
    found = [name for name in asked if name not in trained]
    watched = [name for step in steps if step.draft.values["step.method"] == "sft"
               for name in step.draft.values.get("data.eval_dataset", [])]  # fmt: skip
    if found or watched:
        settings.origins.setdefault("data.test", "eval_dataset")
        return found or list(dict.fromkeys(watched))
    settings.origins.pop("data.test", None)
    own = [f"{n}_test" for n in trained if folder and f"{n}_test" in folder.entries]
    return sorted(own)


def _misunderstood(drafts: Sequence[Draft]) -> list[str]:
    return [
        f"{each.given.where}: {each.given.key}: {each.note}"
        for draft in drafts
        for each in draft.outcomes.values()
        if each.fate == UNKNOWN
    ]


def _from_here(path: Path) -> str:
    whole, here = path.resolve(), Path().resolve()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(whole)


def _where(source: Source) -> str:
    return source.given["dataset_dir"].where if source.has("dataset_dir") else "as it was found"


def _shown(files: Sequence[str]) -> str:
    text = " ".join(Path(file).name for file in files)
    return text if len(text) < 60 else text[:57] + "..."
