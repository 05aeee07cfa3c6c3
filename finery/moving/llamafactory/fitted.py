"""The settings without what Finery refuses of them, which is said of the keys that it was from."""

import tempfile
from pathlib import Path

from finery.moving.llamafactory.assembled import Settings, text
from finery.moving.llamafactory.files.given import MovingError
from finery.moving.llamafactory.keys.draft import LEFT
from finery.params.schema import ParamsError, load


def fitted(settings: Settings, head: str) -> str:
    """The text, without what Finery refuses of it: that is said of the keys that it came from.

    Raises `MovingError` if what is left cannot be run, either.
    """
    while problems := _problems(settings, head):
        named = ((_named(settings, key), said) for key, said in problems)
        found = [(key, said) for key, said in named if key]
        if not found:
            raise MovingError("; ".join(f"{key}: {said}" for key, said in problems))
        key, said = found[0]
        _drop(settings, key, said)
    return text(settings, head)


def _problems(settings: Settings, head: str) -> list[tuple[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "params.yaml"
        path.write_text(text(settings, head), "utf-8")
        try:
            load(path)
        except ParamsError as error:
            lines = [line.removeprefix(str(path)).lstrip(":0123456789 ") for line in error.problems]
            return [(key, said) for key, _, said in (line.partition(": ") for line in lines)]
    return []


def _named(settings: Settings, key: str) -> str | None:
    """The setting that a problem is of, if it came from a file and can be left out."""
    parts = key.split(".")
    tries = [".".join(parts[:count]) for count in range(len(parts), 1, -1)]
    if parts[2:3] == ["data"]:  # a step's, or what all share
        tries.append(".".join(["data", *parts[3:]]))
    last = [".".join(["train", parts[1], *parts[2:]])] if parts[0] == "train" else []
    return next((k for k in (*tries, *last) if k in settings.values and k in settings.targets
                 and not k.endswith((".method", ".type", ".train", ".after"))), None)  # fmt: skip


def _drop(settings: Settings, key: str, said: str) -> None:
    reason = said.partition("; did you mean")[0]
    settings.values.pop(key)
    settings.origins.pop(key, None)
    for draft, own in settings.targets.pop(key):
        draft.outcomes[own].fate, draft.outcomes[own].to = LEFT, ""
        draft.outcomes[own].note = f"refused: {reason}"
