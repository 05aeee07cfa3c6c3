"""Why DVC calls a stage changed, in the words of params.yaml and of the files."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from dvc.dependency import ParamsDependency
from dvc.output import Output
from dvc.stage import Stage

from finery.pipeline.folders import changes, remember

CODE = ("finery/", "stages/", "flows/")
SHOWN = 3
ABSENT = object()
Known = dict[tuple[Any, ...], list[str]]
"""By the place of an input and what dvc.lock says of it, the reasons that it gives."""


def stage_reasons(stage: Stage, known: Known | None = None) -> tuple[str, ...]:
    """Every reason of its own that a stage has to run; none if DVC calls it unchanged.

    The same questions as `Stage.changed` asks, without the lock that it takes: it would have to
    wait for a running stage. What is `known` of inputs is not looked at again, and is added to:
    most are inputs of many stages.
    """
    known = {} if known is None else known
    if not stage.frozen and _never_run(stage):
        return ("never run",)
    found = list(_command(stage))
    if not stage.frozen:
        for dep in stage.deps:
            found += _params(dep) if isinstance(dep, ParamsDependency) else _once(dep, known)
    for out in stage.outs:
        found += _output(out)
    return tuple(found)


def lock_reasons(stage: Stage, made: Mapping[str, Output]) -> tuple[str, ...]:
    """The same where outputs are elsewhere: they are taken to be what dvc.lock says.

    `made` are the outputs of all stages, by path; code, data and params are looked at. What a
    .dvc file records counts as unchanged.
    """
    if not stage.cmd:
        return ()
    if _never_run(stage):
        return ("never run",)
    found = list(_command(stage))
    for dep in stage.deps:
        if isinstance(dep, ParamsDependency):
            found += _params(dep)
        elif dep.fs_path not in made:
            found += _input(dep)
        elif dep.hash_info != made[dep.fs_path].hash_info:
            found.append(f"{_path(dep)} changed")
    return tuple(found)


def _never_run(stage: Stage) -> bool:
    known = (*stage.deps, *stage.outs)
    return bool(stage.cmd and known) and not any(each.hash_info for each in known)


def _command(stage: Stage) -> Iterator[str]:
    if stage.changed_stage():
        yield "command changed" if stage.cmd else "its .dvc file changed"
    if not stage.frozen and (stage.is_callback or stage.always_changed):
        yield "runs every time"


def _once(dep: Output, known: Known) -> list[str]:
    last = dep.hash_info.value if dep.hash_info else None
    key = (dep.protocol, dep.fs_path, last)
    if key not in known:
        known[key] = _input(dep)
    return known[key]


def _input(dep: Output) -> list[str]:
    if not dep.status():
        remember(dep)
        return []
    path = _path(dep)
    name = f"code {path}" if path.startswith(CODE) else path
    if not dep.exists:
        return [f"{name} missing"]
    if not dep.hash_info:
        return [f"{name} is new"]
    files = changes(dep)
    said = [f"{name}/{file} {what}" for file, what in files[:SHOWN]] or [f"{name} changed"]
    return said if len(files) <= SHOWN else [*said, f"and {len(files) - SHOWN} more in {path}"]


def _output(out: Output) -> list[str]:
    if not out.status():
        return []
    path = _path(out)
    if not out.exists:
        return [f"{path} missing"]
    if not out.hash_info:
        return [f"{path} is new"]
    if not out.workspace_status():
        return [f"{path} missing from DVC's cache"]
    return [f"{path} changed since it was {'made' if out.stage.cmd else 'added'}"]


def _params(dep: ParamsDependency) -> list[str]:
    if not dep.status():
        return []
    if not dep.exists:
        return [f"{_path(dep)} missing"]
    old, new = dep.hash_info.value or {}, dep.read_params()
    keys = dep.params or list(dict.fromkeys([*new, *old]))
    return [
        f"params {line}"
        for key in keys
        for line in _difference(key, old.get(key, ABSENT), new.get(key, ABSENT))
    ]


def _difference(key: str, old: Any, new: Any) -> Iterator[str]:
    """A line for each value at or below `key` that is not what it was."""
    if isinstance(old, dict) and isinstance(new, dict):
        for name in dict.fromkeys([*new, *old]):
            yield from _difference(f"{key}.{name}", old.get(name, ABSENT), new.get(name, ABSENT))
    elif isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, (was, now) in enumerate(zip(old, new, strict=True)):
            yield from _difference(f"{key}.{number}", was, now)
    elif old is ABSENT:
        yield f"{key} added: {_shown(new)}"
    elif new is ABSENT:
        yield f"{key} removed, was {_shown(old)}"
    elif old != new:
        yield f"{key} {_shown(old)} -> {_shown(new)}"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _path(item: Output) -> str:
    """Its path from the project's root, or its URL."""
    if not item.is_in_repo:
        return item.def_path
    return item.fs.as_posix(item.fs.relpath(item.fs_path, item.repo.root_dir))
