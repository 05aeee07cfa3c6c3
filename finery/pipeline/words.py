"""What the command line says about the stages: a table, a summary, a stage's chain of causes."""

from collections.abc import Iterable, Sequence

from finery.pipeline.status import StageStatus, unknown

VERDICTS = {"changed": "will run", "downstream": "may run", "unchanged": "up to date"}
SHOWN = 3


def table(statuses: Sequence[StageStatus]) -> str:
    """A line a stage (name, what the next run does with it, why) and one that sums up."""
    width = max((len(each.name) for each in statuses), default=0)
    lines = [
        f"{each.name:<{width}}  {VERDICTS[each.state]:<10}  {_brief(each.reasons)}".rstrip()
        for each in statuses
    ]
    return "\n".join([*lines, _summary(statuses)])


def chosen(stage: str, statuses: Sequence[StageStatus]) -> list[StageStatus]:
    """The stage of that name, or all items of a foreach stage. Raises `ProjectError`."""
    found = [each for each in statuses if stage in (each.name, each.name.partition("@")[0])]
    if not found:
        names = [each.name for each in statuses]
        raise unknown(stage, dict.fromkeys([*(n.partition("@")[0] for n in names), *names]))
    return found


def causes(stage: StageStatus, statuses: Sequence[StageStatus]) -> list[StageStatus]:
    """The stage and the changed ones before it, the nearest first."""
    above = _above(stage, statuses)
    changed = [each for each in reversed(statuses) if each.state == "changed"]
    return [stage, *(each for each in changed if each.name in above)]


def chain(causes: Iterable[StageStatus]) -> str:
    """Why, in one line: the reasons of each stage."""
    return "; ".join(f"{each.name}: {', '.join(each.reasons) or 'up to date'}" for each in causes)


def _brief(reasons: tuple[str, ...]) -> str:
    more = len(reasons) - SHOWN
    return ", ".join(reasons[:SHOWN]) + (f" and {more} more" if more > 0 else "")


def _above(stage: StageStatus, statuses: Sequence[StageStatus]) -> set[str]:
    found = set(stage.after)
    for each in reversed(statuses):
        if each.name in found:
            found.update(each.after)
    return found


def _summary(statuses: Sequence[StageStatus]) -> str:
    states = [each.state for each in statuses]
    if set(states) <= {"unchanged"}:
        return f"{len(states)} stages, all up to date"
    counts = [f"{states.count(state)} {verdict}" for state, verdict in VERDICTS.items()]
    return f"{len(states)} stages: {', '.join(counts)}"
