"""`finery status` and `finery why` as users run them."""

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import pytest

from finery.pipeline.status import status

from .small import Small, make

ROOT = Path(__file__).resolve().parents[3]
PARAMS = (ROOT / "params.yaml").read_text().splitlines()
RANK = next(number for number, line in enumerate(PARAMS, 1) if line.strip().startswith("rank:"))
FINERY = (sys.executable, "-m", "finery.cli")


@pytest.fixture(scope="module")
def with_settings(tmp_path_factory: pytest.TempPathFactory) -> Small:
    """The small project with params.yaml as it is shipped, which the commands validate."""
    project = make(tmp_path_factory.mktemp("commands"))
    project.write("params.yaml", (ROOT / "params.yaml").read_text())
    project.repro()
    project.commit()
    return project


@pytest.fixture
def project(with_settings: Small, tmp_path: Path) -> Small:
    shutil.copytree(with_settings.folder, tmp_path / "project", symlinks=True)
    return Small(tmp_path / "project")


def finery(project: Path, *arguments: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*FINERY, *arguments],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def said(project: Small, *arguments: str) -> str:
    done = finery(project.folder, *arguments)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def change(project: Small) -> None:
    project.replace("params.yaml", "learning_rate: 1.0e-3", "learning_rate: 2.0e-4")
    project.write("data/raw/two.txt", "2")


def test_nothing_to_do(project: Small) -> None:
    lines = said(project, "status").splitlines()
    assert lines[0] == "prepare        up to date"
    assert lines[-1] == "5 stages, all up to date"


def test_the_table(project: Small) -> None:
    change(project)
    assert said(project, "status") == (
        "prepare        will run    data/raw/two.txt changed\n"
        "train          will run    params train.sft.learning_rate 0.001 -> 0.0002\n"
        "quantize@gptq  may run     after prepare, train\n"
        "quantize@awq   may run     after prepare, train\n"
        "report         may run     after prepare, train\n"
        "5 stages: 2 will run, 3 may run, 0 up to date\n"
    )


def test_the_table_is_brief_and_why_is_not(project: Small) -> None:
    for key in ("cutoff_len: 512", "name: Fennel", "calibration_samples: 48", "seed: 42"):
        project.replace("params.yaml", f"  {key}\n", f"  {key}0\n")
    line = said(project, "status").splitlines()[0]
    assert line.endswith("params data.calibration_samples 48 -> 480 and 1 more")
    assert said(project, "why", "prepare").count("params data.") == 4


def test_why(project: Small) -> None:
    change(project)
    rate = "train: params train.sft.learning_rate 0.001 -> 0.0002"
    causes = f"{rate}; prepare: data/raw/two.txt changed"
    assert said(project, "why", "train") == f"{causes}\n"
    assert said(project, "why", "report") == f"report: after prepare, train; {causes}\n"
    assert said(project, "why", "quantize") == (
        f"quantize@gptq: after prepare, train; {causes}\n"
        f"quantize@awq: after prepare, train; {causes}\n"
    )


def test_why_not(project: Small) -> None:
    assert said(project, "why", "train") == "train: up to date\n"
    project.write("notes.txt", "other")
    assert said(project, "why", "train") == "train: up to date\n"


def test_json(project: Small) -> None:
    change(project)
    expected = [{**asdict(each)} for each in status(project.folder)]
    found = json.loads(said(project, "status", "--json"))
    assert found == json.loads(json.dumps(expected))
    train, prepare = found[1], found[0]
    assert json.loads(said(project, "why", "train", "--json")) == [[train, prepare]]


WRONG: dict[str, tuple[list[str], Callable[[Small], object], str]] = {
    "a stage that is not there": (
        ["why", "qantize"],
        lambda p: None,
        "qantize: unknown stage; did you mean quantize?",
    ),
    "no such stage at all": (
        ["why", "zzz"],
        lambda p: None,
        "zzz: unknown stage; known are prepare, train, quantize, report, quantize@gptq,"
        " quantize@awq",
    ),
    "a setting": (
        ["status"],
        lambda p: p.replace("params.yaml", "rank: 16", "rnak: 16"),
        f"params.yaml:{RANK}: train.sft.tuner.rnak: unknown key; did you mean rank?",
    ),
    "dvc.yaml": (
        ["status"],
        lambda p: p.replace("dvc.yaml", "outs: [report]", "outz: [report]"),
        "dvc.yaml: stages.report.outz: extra keys not allowed",
    ),
    "dvc.lock": (
        ["why", "train"],
        lambda p: p.write("dvc.lock", "{\n"),
        "dvc.lock:2: not YAML: did not find expected node content; "
        "restore it: finery recover, or git checkout dvc.lock",
    ),
    "no settings": (
        ["status"],
        lambda p: p.remove("params.yaml"),
        "params.yaml: no such file; run from the project's root",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_said_in_a_line(project: Small, wrong: str) -> None:
    arguments, edit, message = WRONG[wrong]
    edit(project)
    done = finery(project.folder, *arguments)
    assert (done.returncode, done.stdout, done.stderr) == (2, "", f"{message}\n")


def test_away_from_a_project(tmp_path: Path) -> None:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    done = finery(tmp_path, "status")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == f"{tmp_path}: no project; run from the project's root\n"


def test_nothing_heavy_is_imported(project: Small) -> None:
    code = (
        "import sys\nfrom finery.cli import app\n"
        "try: app(['status'])\n"
        "except SystemExit: pass\n"
        "print({'torch', 'transformers', 'prefect', 'pandas', 'hydra'} & sys.modules.keys())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=project.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.splitlines()[-2:] == ["5 stages, all up to date", "set()"], done.stderr


def test_status_is_quick(project: Small) -> None:
    """At most two and a half times the processor time of `dvc status`; best of three.

    A bound in seconds would be one on the machine.
    """
    ours, theirs = [], []
    dvc = [sys.executable, "-m", "dvc", "status", "--quiet"]
    for _ in range(3):
        ours.append(processor_time(lambda: said(project, "status")))
        theirs.append(processor_time(lambda: subprocess.run(dvc, cwd=project.folder, check=True)))
    assert min(ours) < 2.5 * min(theirs), (ours, theirs)


def processor_time(run: Callable[[], object]) -> float:
    """Seconds of the processes that `run` starts and waits for."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
