"""The settings without what Finery refuses of them, which is said of the keys that it was from."""

import re
import tempfile
from pathlib import Path

from finery.moving.llamafactory.assembled import Settings, text
from finery.moving.llamafactory.files.given import MovingError
from finery.moving.llamafactory.keys.draft import LEFT, THEIRS
from finery.params.schema import ParamsError, load

INNER = re.compile(r"(\w+(?:\.[^\s:]+)*): ")
NEEDED = (".method", ".type", ".data", ".data.train", ".after", "model.source")
"""What nothing can be run without."""


def fitted(settings: Settings, head: str) -> str:
    """The text, without what Finery refuses of it: that is said of the keys that it came from.

    Raises `MovingError` if what is left cannot be run, either.
    """
    while problems := _problems(settings, head):
        named = ((_named(settings, problem), problem) for problem in problems)
        key, problem = next(((key, said) for key, said in named if key), (None, ""))
        if key is None:
            raise MovingError("; ".join(problems))
        _drop(settings, key, problem.partition(": ")[2])
    return text(settings, head)


def _problems(settings: Settings, head: str) -> list[str]:
    """What `finery check` says, without the file and the line."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_text(text(settings, head), "utf-8")
        try:
            load(path)
        except ParamsError as error:
            return [line.removeprefix(str(path)).lstrip(":0123456789 ") for line in error.problems]
    return []


def _named(settings: Settings, problem: str) -> str | None:
    """The setting that a problem is of, if a file said it or LLaMA-Factory has it by itself."""
    key, _, said = problem.partition(": ")
    inner = INNER.match(said)  # of a step: "optim_args.x: ..."
    parts = [*key.split("."), *(inner[1].split(".") if inner else [])]
    tries = [parts[:count] for count in range(len(parts), 1, -1)]
    if parts[2:3] == ["data"]:  # a step's, or what all share
        tries.append(["data", *parts[3:]])
    for each in map(".".join, tries):
        theirs = settings.origins.get(each, "").startswith(THEIRS)
        if each in settings.values and (each in settings.targets or theirs):
            return None if each.endswith(NEEDED) else each
    return None


def _drop(settings: Settings, key: str, said: str) -> None:
    reason = said.partition("; did you mean")[0]
    settings.values.pop(key)
    settings.origins.pop(key, None)
    for draft, own in settings.targets.pop(key, []):
        draft.outcomes[own].fate, draft.outcomes[own].to = LEFT, ""
        draft.outcomes[own].note = f"refused: {reason}"
