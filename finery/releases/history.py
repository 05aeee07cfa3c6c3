"""What a model's metrics were in every commit and experiment, so that a slow decline is seen.

git has reports/evaluate/NAME/metrics.json of each; the tags say which were released.
"""

import difflib
import json
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from finery.git import git
from finery.params.release import LOWER_IS_BETTER
from finery.releases.errors import ReleaseError
from finery.releases.git import head, read, read_json
from finery.releases.registry import METRICS
from finery.releases.tags import events

FIELDS = ("ct", "H", "cI", "s")
EXPERIMENTS = "refs/exps"
NOT_RUNS = ("stash", "exec", "celery")
TESTS = re.compile(r"path: data/prepared/test\n\s+hash: md5\n\s+md5: (\w+)")
Commit = tuple[str, ...]
"""Time in Unix seconds, SHA, time in words, subject."""
LOWER = (*LOWER_IS_BETTER, "perplexity")


@dataclass(frozen=True)
class Point:
    """A run: `values` by DATASET.METRIC, those that it has. `named` are its releases and stages, or
    the name of the experiment; `tests` tells the test data apart.
    """

    commit: str
    when: str
    subject: str
    named: tuple[str, ...]
    values: dict[str, float]
    tests: str | None


@dataclass(frozen=True)
class Decline:
    """A metric that was better before, on the same tests."""

    metric: str
    best: Point
    last: Point

    def __str__(self) -> str:
        best, last = self.best.values[self.metric], self.last.values[self.metric]
        where = ", ".join(self.best.named) or self.best.commit[:8]
        return f"{self.metric}: {last:.4g} now, {best:.4g} at its best, in {where}"


def history(root: Path, name: str, metrics: Sequence[str], limit: int = 50) -> list[Point]:
    """The last runs of a model whose metrics are in git, and all that were released or are DVC's
    experiments; oldest first.

    Raises `ReleaseError` if there is none.
    """
    head(root)
    file = METRICS.format(name=name)
    commits = {each[1]: each for each in _logged(root, f"--max-count={limit}", "--", file)}
    named = defaultdict[str, list[str]](list)
    for commit, label in _tagged(root, name):
        for each in _logged(root, "--max-count=1", commit, "--", file):
            commits.setdefault(each[1], each)
            named[each[1]] += [label] if label not in named[each[1]] else []
    for label, each in _experiments(root):
        if commits.setdefault(each[1], each) is each:
            named[each[1]].append(label)
    ordered = sorted(commits.values(), key=lambda each: int(each[0]))
    points = (_point(root, file, metrics, each, named[each[1]]) for each in ordered)
    if not (found := [point for point in points if point]):
        raise ReleaseError(
            f"{name}: no commit has {file}; run the pipeline and commit its reports, or name"
            " another model, as base"
        )
    for metric in metrics:
        if not any(metric in point.values for point in found):
            raise ReleaseError(
                f"{metric}: no run of {name} has it{_nearest(root, found, file, metric)}"
            )
    return found


def declines(points: Sequence[Point], metrics: Sequence[str]) -> list[Decline]:
    """The metrics that were better in an earlier run than in the last, on the tests of the last."""
    found = []
    for metric in metrics:
        having = [point for point in points if metric in point.values]
        last = having[-1] if having else None
        if last is None:
            continue
        sign = -1 if metric.rpartition(".")[2] in LOWER else 1
        same = [point for point in having if point.tests == last.tests]
        best = max(same, key=lambda point: sign * point.values[metric])
        if sign * best.values[metric] > sign * last.values[metric]:
            found.append(Decline(metric, best, last))
    return found


def _point(
    root: Path, file: str, metrics: Sequence[str], commit: Commit, named: Sequence[str]
) -> Point | None:
    _, sha, when, subject = commit
    found = read_json(root, sha, file) or {}
    values = dict(_values(found, metrics))
    tests = TESTS.search(read(root, sha, "dvc.lock") or "")
    key = tests.group(1) if tests else None
    return Point(sha, when, subject, tuple(named), values, key) if found else None


def _values(found: dict, metrics: Sequence[str]) -> Iterator[tuple[str, float]]:
    for metric in metrics:
        dataset, _, name = metric.rpartition(".")
        value = found.get(dataset, {}).get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield metric, value


def _nearest(root: Path, found: Sequence[Point], file: str, metric: str) -> str:
    last = read_json(root, found[-1].commit, file) or {}
    known = [f"{dataset}.{name}" for dataset, values in last.items() for name in values]
    near = difflib.get_close_matches(metric, known, n=1, cutoff=0.4)
    return f"; did you mean {near[0]}?" if near else ""


def _logged(root: Path, *arguments: str) -> list[Commit]:
    form = "%x00".join(f"%{field}" for field in FIELDS)
    lines = git(root, "log", "--no-show-signature", f"--format={form}", *arguments).split("\n")
    return [tuple(line.split("\x00", 3)) for line in lines if line]


def _tagged(root: Path, name: str) -> Iterator[tuple[str, str]]:
    """The commits tagged for a model, each with a version, or a stage that it was put in."""
    for event in events(root, name):
        label = event.version if event.action == "register" else event.stage
        if event.action in ("register", "assign") and label:
            yield event.commit, label


def _experiments(root: Path) -> Iterator[tuple[str, Commit]]:
    """The experiments of DVC that are kept here, by name."""
    refs = git(root, "for-each-ref", "--format=%(refname) %(objectname)", EXPERIMENTS)
    for line in refs.splitlines():
        ref, _, commit = line.partition(" ")
        *parts, name = ref.removeprefix(f"{EXPERIMENTS}/").split("/")
        if len(parts) == 2 and parts[0] not in NOT_RUNS:
            yield name, _logged(root, "--max-count=1", commit)[0]


def as_json(points: Sequence[Point]) -> str:
    """The runs as a list in JSON."""
    keys = ("commit", "when", "subject", "named", "values", "tests")
    return json.dumps([{key: getattr(each, key) for key in keys} for each in points], indent=2)
