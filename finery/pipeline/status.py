"""Which stages `dvc repro` would run, and why, without running or locking anything."""

import difflib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import networkx as nx
from dvc.output import Output
from dvc.repo import Repo
from dvc.repo.reproduce import get_active_graph, plan_repro
from dvc.stage import PipelineStage, Stage
from dvc.utils import relpath

from finery.pipeline.errors import ProjectError
from finery.pipeline.project import look
from finery.pipeline.reasons import Known, lock_reasons, stage_reasons

State = Literal["unchanged", "changed", "downstream"]
SHOWN = 3


@dataclass(frozen=True)
class StageStatus:
    """What the next `dvc repro` does with a stage.

    It runs a `changed` one for certain; a `downstream` one only if the outputs of the changed
    stages before it come out different.
    """

    name: str
    state: State
    reasons: tuple[str, ...]
    after: tuple[str, ...]


def status(root: Path = Path()) -> list[StageStatus]:
    """All stages of the project at `root`, each after those it depends on.

    Agrees with DVC about what changed, needs no lock and may be called while `dvc repro` runs.
    Raises `ProjectError` if there is no project or DVC cannot read it.
    """
    return look(root, statuses)


def statuses(repo: Repo) -> list[StageStatus]:
    """The same of an open project, whose graph is not read again."""
    graph = get_active_graph(repo.index.graph)
    order = plan_repro(graph)
    known: Known = {}
    own = {stage: stage_reasons(stage, known) for stage in order}
    return [_status(stage, graph, order, own) for stage in order]


def reasons(stage: str, root: Path = Path()) -> tuple[str, ...]:
    """The reasons of its own that one stage has to run now; none if DVC calls it unchanged."""

    return look(root, lambda repo: stage_reasons(named(stage, repo)))


def reasons_by_lock(stage: str, root: Path = Path()) -> tuple[str, ...]:
    """The same, told by dvc.lock: outputs of stages need not be in `root`."""
    return look(root, lambda repo: lock_reasons(named(stage, repo), made(repo)))


def needed(plan: Sequence[StageStatus], names: Sequence[str]) -> list[StageStatus]:
    """The stages named and all above them; every stage if none is named.

    A name without its @item stands for all items. Raises `ProjectError` for an unknown one.
    """
    if not names:
        return list(plan)
    wanted: set[str] = set()
    for name in names:
        found = {s.name for s in plan if name in (s.name, s.name.partition("@")[0])}
        if not found:
            raise unknown(name, [stage.name for stage in plan])
        wanted |= found
    for stage in reversed(plan):
        if stage.name in wanted:
            wanted |= set(stage.after)
    return [stage for stage in plan if stage.name in wanted]


def made(repo: Repo) -> dict[str, Output]:
    """All that DVC or a stage brings into a project, by path."""
    return {out.fs_path: out for each in repo.index.stages for out in each.outs}


def named(stage: str, repo: Repo) -> Stage:
    """The stage that has a name of `status`. Raises `ProjectError` for an unknown one."""
    stages = {_name(each): each for each in repo.index.stages}
    if stage not in stages:
        raise unknown(stage, stages)
    return stages[stage]


def unknown(stage: str, known: Iterable[str]) -> ProjectError:
    """The error for a stage that is not in dvc.yaml, with the nearest that is."""
    names = list(known)
    near = difflib.get_close_matches(stage, names, n=1)
    advice = f"did you mean {near[0]}?" if near else f"known are {', '.join(names)}"
    return ProjectError(f"{stage}: unknown stage; {advice}")


def _status(
    stage: Stage, graph: nx.DiGraph, order: list[Stage], own: dict[Stage, tuple[str, ...]]
) -> StageStatus:
    direct = graph.successors(stage)  # DVC's edges lead from a stage to what it depends on
    after = tuple(_name(each) for each in sorted(direct, key=order.index))
    if own[stage]:
        return StageStatus(_name(stage), "changed", own[stage], after)
    above = nx.descendants(graph, stage)
    changed = [_name(each) for each in order if each in above and own[each]]
    if changed:
        return StageStatus(_name(stage), "downstream", (_after(changed),), after)
    return StageStatus(_name(stage), "unchanged", (), after)


def _after(changed: list[str]) -> str:
    more = len(changed) - SHOWN
    return f"after {', '.join(changed[:SHOWN])}" + (f" and {more} more" if more > 0 else "")


def _name(stage: Stage) -> str:
    """As DVC names it at the root: quantize@gptq, sub/dvc.yaml:stage, data/raw.dvc."""
    file = relpath(stage.path, stage.repo.root_dir)
    if not isinstance(stage, PipelineStage):
        return file
    return stage.name if file == "dvc.yaml" else f"{file}:{stage.name}"
