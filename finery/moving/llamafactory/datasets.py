"""Where the data of a chain is, what is asked of it, and what it leaves open."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from finery.moving.llamafactory.assembled import FINERY, Settings
from finery.moving.llamafactory.chain import Step
from finery.moving.llamafactory.files.given import MovingError, Source
from finery.moving.llamafactory.folder import COPIED, Folder, held_out
from finery.moving.llamafactory.keys.draft import LEFT, NOTED, THEIRS, Draft, Outcome

NAMELESS = "held_out"
UNFIT = '"$`\\'
"""Signs that no folder of ours can have, for a shell would read them; Windows has one."""


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


def learnt(steps: Sequence[Step]) -> list[str]:
    values = [step.draft.values for step in steps]
    found = [name for v in values for name in [*v.get("data.train", []),
                                               *v.get("data.eval_dataset", [])]]  # fmt: skip
    return list(dict.fromkeys(found))


def settle_data(
    settings: Settings, steps: Sequence[Step], drafts: Sequence[Draft], folder: Folder | None,
    wishes: Wishes, todo: list[str],
) -> None:  # fmt: skip
    """dataset_dir, the tests, and the variables that the datasets leave open."""
    wanted = learnt(steps)
    tests = _tests(settings, steps, drafts, folder, wishes)
    first = steps[0].draft.source
    said = first.path("dataset_dir") or "data"
    if folder is None:
        away = said == "ONLINE" or said.startswith("REMOTE:") or set(said) & set(UNFIT)
        settings.set("data.dataset_dir", str(COPIED) if away else said, _where(first))
        todo.append(f"data.dataset_dir: {_missing(said, wanted)}")
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
    names = [] if tests else learnt(data or steps)
    most = settings.values.get("data.max_samples")
    path, asked, shared = held_out(folder, names, most, wishes.write)
    settings.set("data.dataset_dir", str(path), f"copied from {folder.path}")
    if asked:
        settings.origins["data.test"] = f"held out of {', '.join(names)}: up to 20 rows of each"
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


def _from_here(path: Path) -> str:
    whole, here = path.resolve(), Path().resolve()
    return str(whole.relative_to(here)) if whole.is_relative_to(here) else str(whole)


def _where(source: Source) -> str:
    return source.given["dataset_dir"].where if source.has("dataset_dir") else THEIRS


def _missing(said: str, wanted: Sequence[str]) -> str:
    names = ", ".join(wanted)
    if said.startswith("REMOTE:"):
        repository = said.removeprefix("REMOTE:")
        return (
            f"{said} is at Hugging Face: hf download {repository} --repo-type dataset --local-dir"
            f" {COPIED}"
        )
    if said == "ONLINE":
        return f"write {COPIED}/dataset_info.json, with an hf_hub_url for each of {names}"
    return f"{said}: has not all of {names}; set it to the folder with dataset_info.json"
