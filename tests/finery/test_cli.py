"""The command line as users run it."""

import json
import os
import resource
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import pytest

from finery.params.schema import json_schema

ROOT = Path(__file__).resolve().parents[2]
FINERY = (sys.executable, "-m", "finery.cli")


def finery(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*FINERY, *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_version_is_that_of_the_installed_package():
    done = finery("--version")
    assert (done.returncode, done.stdout) == (0, f"finery {version('finery')}\n")


def test_check_says_that_all_is_well():
    done = finery("check")
    assert (done.returncode, done.stdout, done.stderr) == (0, "params.yaml: valid\n", "")


def test_check_says_everything_that_is_wrong(tmp_path: Path):
    text = (ROOT / "params.yaml").read_text()
    (tmp_path / "mine.yaml").write_text(
        text.replace("rank:", "rnak:").replace("\nmerge:", "\nmarge:")
    )
    done = finery("check", "mine.yaml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert [line.split(": ", 1)[1] for line in done.stderr.splitlines()] == [
        "train.sft.tuner.rnak: unknown key; did you mean rank?",
        "merge: missing; add it",
        "marge: unknown key; did you mean merge?",
    ]


def test_check_away_from_a_project(tmp_path: Path):
    done = finery("check", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "params.yaml: no such file; run from the project's root\n"


def test_check_is_quick():
    """Under two seconds of processor time, the interpreter's start included: best of three."""
    seconds = []
    for _ in range(3):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        assert finery("check").returncode == 0
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        seconds.append(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)
    assert min(seconds) < 2, seconds


@pytest.mark.parametrize("command", ["check", "schema", "--help"])
def test_no_command_line_needs_torch(command: str):
    code = (
        "import sys\nfrom finery.cli import app\n"
        "try: app(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print({'torch', 'transformers', 'dvc', 'prefect'} & sys.modules.keys())"
    )
    run = [sys.executable, "-c", code, command]
    done = subprocess.run(run, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "set()", done.stdout + done.stderr


def test_schema_prints_the_schema():
    assert json.loads(finery("schema").stdout) == json_schema()


def test_recover_mends_a_project(tmp_path: Path):
    assert finery("recover", cwd=tmp_path).stdout == "nothing to mend\n"
    (tmp_path / ".dvc/tmp").mkdir(parents=True)
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    (tmp_path / ".dvc/tmp/rwlock").touch()
    done = finery("recover", cwd=tmp_path)
    assert done.stdout == ".dvc/tmp/rwlock: was cut off by a kill; removed\n", done.stderr
