"""What metrics were, from commits, tags and DVC's experiments of a small repository."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from finery.cli import app
from finery.releases.errors import ReleaseError
from finery.releases.history import as_json, declines, history
from finery.releases.history_shown import plot
from finery.releases.tags import assign, register

FILE = "reports/evaluate/merged/metrics.json"
METRIC, LOSS = "test.keyword_match", "all.loss"
LOCK = "    - path: data/prepared/test\n      hash: md5\n      md5: {}\n"
DVC = """
stages:
  evaluate:
    cmd: cp wanted.json reports/evaluate/merged/metrics.json
    deps: [wanted.json]
    metrics:
      - reports/evaluate/merged/metrics.json: {cache: false}
"""


def sh(folder: Path, *command: str, **more: str) -> str:
    given = {"cwd": folder, "env": os.environ | more}
    done = subprocess.run(command, capture_output=True, text=True, **given)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


def commit(folder: Path, day: int, text: str = "As it is") -> str:
    when = f"2026-01-{day:02} 12:00:00 +0000"
    sh(folder, "git", "add", ".")
    given = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    sh(folder, "git", "commit", "--quiet", "--allow-empty", "-m", text, **given)
    return sh(folder, "git", "rev-parse", "HEAD")


def run(folder: Path, day: int, score: float, loss: float, tests: str = "a") -> str:
    metrics = {"test": {"keyword_match": score}, "all": {"loss": loss}}
    (folder / FILE).parent.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps(metrics))
    (folder / "dvc.lock").write_text(LOCK.format(tests))
    return commit(folder, day)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    sh(tmp_path, "git", "init", "--quiet", "--initial-branch=main")
    sh(tmp_path, "git", "config", "user.name", "Tester")
    sh(tmp_path, "git", "config", "user.email", "tester@example.org")
    return tmp_path


def test_runs_are_told_with_their_releases_and_declines(root: Path):
    first = run(root, 1, 0.9, 0.4)
    later = commit(root, 2, "A README alone")
    second = run(root, 3, 0.88, 0.5)
    third = run(root, 4, 0.86, 0.3)
    register(root, "merged", "v0.1.0", later)
    assign(root, "merged", "prod", later, "merged v0.1.0 in prod", {"action": "promote"})
    register(root, "gptq", "v0.9.0", second)
    points = history(root, "merged", [METRIC, LOSS])
    assert [point.commit for point in points] == [first, second, third]
    assert [point.values[METRIC] for point in points] == [0.9, 0.88, 0.86]
    assert [point.named for point in points] == [("v0.1.0", "prod"), (), ()]
    (decline,) = declines(points, [METRIC, LOSS])
    assert str(decline) == f"{METRIC}: 0.86 now, 0.9 at its best, in v0.1.0, prod"
    assert json.loads(as_json(points))[0]["values"] == {METRIC: 0.9, LOSS: 0.4}
    assert [point.commit for point in history(root, "merged", [METRIC], limit=1)] == [first, third]


def test_other_tests_are_no_decline(root: Path):
    run(root, 1, 1.0, 0.1, tests="a")
    run(root, 2, 0.5, 0.7, tests="b")
    run(root, 3, 0.4, 0.6, tests="b")
    points = history(root, "merged", [METRIC, LOSS])
    assert [point.tests for point in points] == ["a", "b", "b"]
    assert [each.best.values[METRIC] for each in declines(points, [METRIC, LOSS])] == [0.5]


def test_an_experiment_of_dvc_is_in_it(root: Path):
    dvc = (sys.executable, "-m", "dvc")
    sh(root, *dvc, "init", "--quiet")
    (root / "dvc.yaml").write_text(DVC)
    (root / "wanted.json").write_text('{"test": {"keyword_match": 0.5}}')
    (root / FILE).parent.mkdir(parents=True)
    sh(root, *dvc, "repro", "--quiet")
    commit(root, 1)
    (root / "wanted.json").write_text('{"test": {"keyword_match": 0.75}}')
    sh(root, *dvc, "exp", "run", "--quiet", "--name", "larger")
    sh(root, "git", "checkout", "--quiet", "--force", "HEAD")
    found = [(point.named, point.values) for point in history(root, "merged", [METRIC])]
    assert found == [((), {METRIC: 0.5}), (("larger",), {METRIC: 0.75})]


def test_the_command_shows_and_draws(root: Path, monkeypatch: pytest.MonkeyPatch):
    run(root, 1, 1.0, 0.1)
    run(root, 2, 0.5, 0.7, tests="b")
    monkeypatch.chdir(root)
    asked = ["history", "--metric", METRIC, "--metric", LOSS]
    result = CliRunner().invoke(app, [*asked, "--plot", "history.svg"])
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert [line.split()[-2:] for line in lines[1:]] == [["1", "0.1"], ["other", "tests"]]
    drawn = (root / "history.svg").read_text()
    assert METRIC in drawn and LOSS in drawn
    plot(history(root, "merged", [METRIC, LOSS]), [METRIC, LOSS], root / "again.svg")
    assert (root / "again.svg").read_text() == drawn, "the same bytes every time"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["gptq"], "gptq: no commit has reports/evaluate/gptq/metrics.json; run the pipeline and"),
        (["--metric", "test.keyword"],
         "test.keyword: no run of merged has it; did you mean test.keyword_match?"),
        (["--metric", METRIC, "--plot", "history.jpg"],
         "history.jpg: pictures are .svg, .png, .pdf; name the file so"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_one_line(
    root: Path, arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
):
    run(root, 1, 1.0, 0.1)
    monkeypatch.chdir(root)
    result = CliRunner().invoke(app, ["history", *arguments, "--metric", METRIC])
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert result.output.startswith(said)


def test_before_a_first_commit(root: Path):
    with pytest.raises(ReleaseError, match="no commit yet"):
        history(root, "merged", [METRIC])
