"""Several runs as one chain of steps: which starts from the model that another made."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import PurePath

from finery.moving.llamafactory.files.given import MovingError, Source, names
from finery.moving.llamafactory.keys.draft import LEFT, NOTED, Draft, Outcome

CHECKPOINT = re.compile(r"checkpoint-\d+")
BASE = "base"
ELSEWHERE = (
    "no file that trained it is given, so the step starts from the base model: give that, too"
)
GUESSED = "taken for what {} trains: the paths differ, the base model is the same"
GOES_ON = "a new adapter on its merged model; LLaMA-Factory goes on with the old one"
LAST = "the checkpoint is taken for the end of that training"


@dataclass
class Step:
    """A training in the chain."""

    name: str
    draft: Draft
    after: str = BASE


def chained(drafts: Sequence[Draft]) -> list[Step]:
    """The trainings, each behind the one that it goes on from. Raises `MovingError`."""
    trainings = [draft for draft in drafts if draft.source.task == "train"]
    if not trainings:
        talks = all(draft.source.task == "chat" for draft in drafts)
        as_it_is = "; to talk to a model as it is: finery chat FOLDER" if talks else ""
        raise MovingError(
            f"{drafts[0].source.name}: trains nothing; give the file that trained the model, too"
            f"{as_it_is}"
        )
    made = list(_made(drafts, trainings))
    steps: list[Step] = []
    waiting = list(trainings)
    while waiting:
        ready = next((d for d in waiting if _start(d, made) not in waiting), None)
        if ready is None:
            files = ", ".join(draft.source.name for draft in waiting)
            raise MovingError(f"{files}: each goes on from what another makes; leave one out")
        waiting.remove(ready)
        steps.append(_placed(ready, steps, made))
    _one_base(steps)
    return steps


def last_step(drafts: Sequence[Draft], steps: Sequence[Step]) -> str:
    """Whose model is merged, quantized and packaged: what is exported, or the end of the chain."""
    made = list(_made(drafts, [step.draft for step in steps]))
    plain = [step for step in steps if step.draft.values["step.method"] != "reward"]
    if not plain:
        file = steps[-1].draft.source.name
        raise MovingError(
            f"{file}: trains a reward model alone, which answers nothing; give the files of a step"
            " that learns from it, or of the one before it"
        )
    for draft in drafts:
        if draft.source.task == "export":
            found = next((s for s in steps if s.draft is _start(draft, made)), None)
            _said_of_export(draft, found or plain[-1], found is None)
            return (found or plain[-1]).name
    return plain[-1].name


def same(one: str, other: str) -> bool:
    """Whether two paths are one folder: one may begin higher up, or end in a checkpoint."""
    a, b = _parts(one), _parts(other)
    shorter, longer = sorted((a, b), key=len)
    return bool(shorter) and (a == b or (len(shorter) > 1 and longer[-len(shorter) :] == shorter))


def _parts(path: str) -> list[str]:
    parts = [part for part in PurePath(path.strip().replace("\\", "/")).parts if part != "."]
    return parts[:-1] if parts and CHECKPOINT.fullmatch(parts[-1]) else parts


def _made(drafts: Sequence[Draft], trainings: Sequence[Draft]) -> Iterator[tuple[str, Draft]]:
    """The folders that models are in, and the training that made each."""
    made = [(out, draft) for draft in trainings if (out := draft.source.path("output_dir"))]
    yield from made
    for draft in drafts:
        if draft.source.task == "export" and (maker := _start(draft, made)) is not None:
            yield str(draft.source.path("export_dir")), maker


def _start(draft: Draft, made: Sequence[tuple[str, Draft]]) -> Draft | None:
    """The training whose model one begins with; None if it is the base model."""
    for place in _places(draft.source):
        found = next((d for path, d in made if d is not draft and same(path, place)), None)
        if found is not None:
            return found
    return None


def _places(source: Source) -> list[str]:
    """Where the model that a run begins with is, the last first."""
    judge = names(source.path("reward_model"))
    adapters = names(source.path("adapter_name_or_path"))
    model = source.path("model_name_or_path")
    return [*reversed(judge), *reversed(adapters), *([model] if model else [])]


def _placed(draft: Draft, steps: Sequence[Step], made: Sequence[tuple[str, Draft]]) -> Step:
    method = draft.values["step.method"]
    taken = [step.name for step in steps]
    name = next(n for n in (method, *(f"{method}_{i}" for i in range(2, 99))) if n not in taken)
    start = _start(draft, made)
    before = next((step for step in steps if step.draft is start), None)
    if method == "rloo" and (before is None or before.draft.values["step.method"] != "reward"):
        raise MovingError(
            f"{draft.source.name}: stage: ppo learns from a reward model; give the file that"
            f" trained it, too ({draft.source.path('reward_model')})"
        )
    step = Step(name, draft, before.name if before else BASE)
    _said_of_start(draft, step)
    return step


def _said_of_start(draft: Draft, step: Step) -> None:
    to = f"train.{step.name}.after"
    for key in ("adapter_name_or_path", "reward_model"):
        if not draft.has(key):
            continue
        given = draft.source.given[key]
        if step.after == BASE:
            draft.outcomes[key] = Outcome(given, LEFT, "", ELSEWHERE)
            continue
        notes = [LAST] if CHECKPOINT.search(str(given.value)) else []
        if key.startswith("adapter") and not draft["create_new_adapter"]:
            notes.append(GOES_ON)
        draft.outcomes[key] = Outcome(given, NOTED, to, "; ".join(notes))
    if step.after != BASE and draft.has("model_name_or_path"):
        given = draft.source.given["model_name_or_path"]
        draft.outcomes[given.key] = Outcome(given, NOTED, to, "what the step before it makes")


def _said_of_export(draft: Draft, step: Step, guessed: bool) -> None:
    key = "adapter_name_or_path" if draft.has("adapter_name_or_path") else "model_name_or_path"
    if draft.has(key):
        note = GUESSED.format(step.draft.source.name) if guessed else ""
        draft.outcomes[key] = Outcome(draft.source.given[key], NOTED, "merge.step", note)


def _one_base(steps: Sequence[Step]) -> None:
    """All that start from the base model must mean the same."""
    roots = [step for step in steps if step.after == BASE]
    for step in roots:
        if "model.source" not in step.draft.values:
            raise MovingError(f"{step.draft.source.name}: model_name_or_path: missing; add it")
    first = roots[0].draft
    for step in roots[1:]:
        mine, other = step.draft.values["model.source"], first.values["model.source"]
        if mine != other:
            raise MovingError(
                f"{step.draft.source.name}: model_name_or_path: {mine} is another base model than"
                f" that of {first.source.name}, {other}; bring them into projects of their own"
            )
