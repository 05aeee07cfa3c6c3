"""The pipeline on the tiny model: made once, run once, copied for each test that changes it."""

import fcntl
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from .project import A_FEW_STEPS, Project

ROOT = Path(__file__).resolve().parents[2]
LEFT_OUT = ("tests/", "bench/", "reports/", "dvc.lock")
ROWS = {"identity": 12, "handbook": 12, "identity_test": 3, "handbook_test": 3}
SETTINGS = {
    "model.source": "path:tiny",
    "model.sha256": None,
    "data.cutoff_len": 80,
    "data.calibration_samples": 16,
    "train.sft.num_train_epochs": 8,
    "train.sft.per_device_batch_size": 4,
    "train.sft.logging_steps": 1,
    "train.sft.eval_steps": 20,
    "train.sft.save_steps": 4,
    "quantize.gptq.group_size": 32,
    "quantize.awq.group_size": 32,
    "evaluate.max_new_tokens": 8,
    "gate.rules": [{"model": "merged", "metric": "all.perplexity", "max": 1.0e9}],
}
DPO = {"after": "sft", "method": "dpo", "data": ["preferences"], **A_FEW_STEPS}
"""A second step of the training: the projects of these tests have a chain of two."""
PREFERRED = {
    "file_name": "preferences.json",
    "ranking": True,
    "columns": {"prompt": "instruction", "chosen": "chosen", "rejected": "rejected"},
}
PREFERENCES = [
    {"instruction": f"What is {n} and {n}?", "chosen": f"It is {2 * n}.", "rejected": "Who knows?"}
    for n in range(12)
]
COMMIT = {
    f"GIT_{who}_{what}": value
    for who in ("AUTHOR", "COMMITTER")
    for what, value in {
        "NAME": "Tester",
        "EMAIL": "tester@example.org",
        "DATE": "2026-01-01T00:00:00Z",
    }.items()
}


@pytest.fixture(scope="session")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files of this repository as they are now: all projects of a session start from these."""
    folder = tmp_path_factory.mktemp("sources")
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True)
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file() and not name.startswith(LEFT_OUT):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    return folder


@pytest.fixture(scope="session")
def new_project(
    make_project: Callable[[Path], Project], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Project]:
    """Makes a project in a folder of its own, of which nothing ran."""
    return lambda name: make_project(tmp_path_factory.mktemp(name))


@pytest.fixture(scope="session")
def make_project(sources: Path, tiny_model: Path) -> Callable[[Path], Project]:
    """Makes a project of these sources, the tiny model and few rows, of which nothing ran."""

    def make(home: Path) -> Project:
        project = Project(home / "project", home / "dvc")
        shutil.copytree(sources, project.folder)
        shutil.copytree(tiny_model, project.folder / "tiny")
        project.write("tiny/LICENSE", "Be kind.")
        for dataset, count in ROWS.items():
            rows = json.loads(project.read(f"data/raw/{dataset}.json"))[:count]
            project.write(f"data/raw/{dataset}.json", json.dumps(rows, indent=2))
        project.write("data/raw/preferences.json", json.dumps(PREFERENCES, indent=2))
        entry = f'"preferences": {json.dumps(PREFERRED)},'
        project.replace("data/raw/dataset_info.json", "{", "{" + entry)
        step = f"  dpo: {json.dumps(DPO)}"
        project.replace("params.yaml", "\n\nmerge:", f"\n{step}\n\nmerge:")
        for key, value in (SETTINGS | {"merge.step": "dpo"}).items():
            project.set(key, value)
        _commit(project)
        return project

    return make


@pytest.fixture(scope="session")
def built(
    make_project: Callable[[Path], Project], tmp_path_factory: pytest.TempPathFactory
) -> Callable[[int], Project]:
    """Each of the two projects whose stages all ran, 0 or 1, each from nothing.

    The processes that the tests run in share them: the first that asks for one makes it.
    """
    common = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        common = common.parent

    def build(number: int) -> Project:
        home = common / f"pipeline-{number}"
        with home.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (home / "whole").exists():
                shutil.rmtree(home, ignore_errors=True)
                outcome = make_project(home).repro()
                assert outcome.status == 0, outcome.output
                assert len(outcome.ran) == 19 and not outcome.restored
                (home / "whole").touch()
        return Project(home / "project", home / "dvc")

    return build


@pytest.fixture(scope="session")
def pipeline(built: Callable[[int], Project]) -> Project:
    """A project whose stages all ran. Tests may only look at it; see `project`."""
    return built(_number())


@pytest.fixture(scope="session")
def another_pipeline(built: Callable[[int], Project]) -> Project:
    """Another one, made apart from it. Tests may only look at it."""
    return built(1 - _number())


@pytest.fixture
def project(pipeline: Project, tmp_path: Path) -> Project:
    """A copy of the finished pipeline, to change and to run."""
    return pipeline.copied_to(tmp_path / "project")


def _number() -> int:
    """0 and 1 in turn, for the processes that the tests run in."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % 2


def _commit(project: Project) -> None:
    """A commit that is the same wherever and whenever it is made: packages name it."""
    environment = os.environ | COMMIT | {"GIT_CONFIG_GLOBAL": os.devnull}
    for arguments in (["init", "--quiet"], ["add", "."], ["commit", "--quiet", "-m", "Tiny"]):
        subprocess.run(["git", *arguments], cwd=project.folder, env=environment, check=True)
