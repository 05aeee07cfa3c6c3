"""The comparison of a candidate with the version in service, on one and the same test."""

import json
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

from finery.errors import PipelineError
from finery.lineage import LINEAGE
from finery.params.release import ReleaseParams
from finery.releases import data, git
from finery.releases.bootstrap import Comparison
from finery.releases.candidate import check_committed
from finery.releases.comparison import compare
from finery.releases.errors import NotPaired
from finery.samples import Sample, parse_samples

STDERR = 2
TESTS = "data/prepared/test"
METRICS = "metrics"
"""The folder of the user's."""
TOKENIZER = ("tokenizer.json", "tokenizer.model", "vocab.json", "merges.txt", "chat_template.jinja")


def prove(
    root: Path, name: str, candidate: str, champion: str, params: ReleaseParams
) -> tuple[list[Comparison], bool]:
    """Compare two commits' models; also returns whether one had to be evaluated anew.

    The samples that each was scored on are used as they are if they pair and were scored by the
    same code and settings. Otherwise whoever was not evaluated as of today is, on today's tests:
    minutes to hours of work. Raises `NotPaired` where that cannot be, too.
    """
    if _how_evaluated(root, candidate, name) == _how_evaluated(root, champion, name):
        with suppress(NotPaired):
            both = data.samples(root, candidate, name), data.samples(root, champion, name)
            return compare(*both, params), False
    mine, theirs = _as_of_today(root, name, candidate), _as_of_today(root, name, champion)
    return compare(mine, theirs, params), True


def _as_of_today(root: Path, name: str, commit: str) -> list[Sample]:
    today = git.head(root)
    same_way = _how_evaluated(root, commit, name) == _how_evaluated(root, today, name)
    if same_way and _tests_hash(root, commit, name) == _tests_hash(root, today, name):
        return data.samples(root, commit, name)
    return evaluate_anew(root, name, commit)


def evaluate_anew(root: Path, name: str, commit: str) -> list[Sample]:
    """Answer today's test questions with the package of a commit, by the evaluate stage itself.

    Raises `ReleaseError` if today's code or settings are not committed, `NotPaired` if the tests
    are tokens of another tokenizer, `PipelineError` if the stage fails.
    """
    today, scratch = git.head(root), root / ".finery"
    check_committed(root, today)
    scratch.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="champion-") as folder:
        package, tests = Path(folder, "package"), Path(folder, "tests")
        with data.opened(root) as repo:
            data.download(repo, commit, data.package_path(root, commit, name), package)
            data.download(repo, today, TESTS, tests)
            path = f"/{data.package_path(root, today, name)}/MANIFEST.json"
            with data.delivered(path, today), repo.switch(today):
                manifest = json.loads(repo.dvcfs.read_text(path, encoding="utf-8"))
        _check_same_tokens(name, commit, _manifest(package), manifest)
        _restore_lineage(package)
        return _evaluate(root, package, tests, Path(folder, "samples.jsonl"))


def _evaluate(root: Path, package: Path, tests: Path, samples: Path) -> list[Sample]:
    paths = {"model": package, "tests": tests, "functions": root / METRICS, "samples": samples}
    paths["metrics"] = samples.with_name("metrics.json")
    options = [part for key, path in paths.items() for part in (f"--{key}", str(path.resolve()))]
    command = [sys.executable, "-m", "stages.evaluate", *options]
    done = subprocess.run(command, cwd=root, stdout=STDERR)  # our own output is the verdict
    if done.returncode != 0:
        raise PipelineError(
            "today's tests could not be put to a version of another day: evaluate failed with"
            f" exit status {done.returncode}, its message is above; nothing was released"
        )
    return parse_samples(samples.read_text(encoding="utf-8"))


def _how_evaluated(root: Path, commit: str, name: str) -> tuple[dict, dict]:
    """The code and the settings of an evaluation: what its scores depend on beside its data."""
    stage = _evaluation(root, commit, name)
    code = {dep["path"]: dep["md5"] for dep in stage.get("deps", ()) if _is_code(dep["path"])}
    return code, stage.get("params", {})


def _tests_hash(root: Path, commit: str, name: str) -> str | None:
    stage = _evaluation(root, commit, name)
    return next((dep["md5"] for dep in stage.get("deps", ()) if dep["path"] == TESTS), None)


def _evaluation(root: Path, commit: str, name: str) -> dict[str, Any]:
    """What dvc.lock says of the stage that scored a model."""
    _, stage = data.maker(root, commit, data.samples_path(root, commit, name)) or ("", {})
    return stage


def _is_code(path: str) -> bool:
    return path == METRICS or path.startswith(("finery/", "stages/"))


def _check_same_tokens(name: str, commit: str, old: dict[str, Any], new: dict[str, Any]) -> None:
    """Today's tests are tokens already: another tokenizer would read other words in them."""
    hashes = [
        {file["path"]: file["sha256"] for file in manifest["files"] if file["path"] in TOKENIZER}
        for manifest in (old, new)
    ]
    if hashes[0] != hashes[1]:
        raise NotPaired(
            f"{name} of commit {commit[:8]} has another tokenizer or chat template than today's"
            " tests are prepared with, so it cannot answer them; look at both models yourself and"
            " promote with --override REASON"
        )


def _manifest(package: Path) -> dict[str, Any]:
    return json.loads((package / "MANIFEST.json").read_text(encoding="utf-8"))


def _restore_lineage(package: Path) -> None:
    """The stage reads there whether the model may run code of its own; a package has it inside."""
    records = _manifest(package)["lineage"]
    (package / LINEAGE).write_text(json.dumps(records), encoding="utf-8")
