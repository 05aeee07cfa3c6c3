"""A run with nothing to do is told apart without Prefect, and recorded as any other."""

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from finery.pipeline import settled as module
from finery.pipeline.errors import BusyError
from finery.pipeline.one_run import only_run
from finery.pipeline.runs import Outcome
from finery.pipeline.settled import settled

from .small import Small, make

ROOT = Path(__file__).resolve().parents[3]
STAGES = ["prepare", "quantize@awq", "quantize@gptq", "report", "train"]


@pytest.fixture(autouse=True)
def nobody_looks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    monkeypatch.delenv("PREFECT_PROFILES_PATH", raising=False)
    monkeypatch.setenv("PREFECT_HOME", str(tmp_path / "prefect"))
    monkeypatch.setattr(module, "PAGE", ("127.0.0.1", 9))


def test_all_is_up_to_date(small: Small) -> None:
    outcomes = settled([], small.folder)
    assert sorted(outcome.stage for outcome in outcomes) == STAGES
    assert {outcome.result for outcome in outcomes} == {"cached"}
    assert settled(["prepare"], small.folder) == [Outcome("prepare", "cached")]


def test_something_may_run(small: Small) -> None:
    small.write("notes.txt", "other\n")
    assert settled([], small.folder) == []
    assert settled(["report"], small.folder) == []
    assert len(settled(["quantize"], small.folder)) == 4


def test_what_a_run_will_say_is_left_to_it(small: Small) -> None:
    assert settled(["lost"], small.folder) == []
    small.write("dvc.yaml", "stages: [")
    assert settled([], small.folder) == []


def test_a_run_shows_on_the_server_that_is_named(
    small: Small, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "prefect").mkdir()
    profiles = tmp_path / "prefect/profiles.toml"
    profiles.write_text("active = 'local'\n")
    assert settled([], small.folder)
    profiles.write_text("[profiles.local]\nPREFECT_API_URL = 'http://host/api'\n")
    assert settled([], small.folder) == []
    profiles.unlink()
    monkeypatch.setenv("PREFECT_API_URL", "http://host/api")
    assert settled([], small.folder) == []


def test_a_run_shows_on_the_page_that_is_open(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as page:
        page.bind(("127.0.0.1", 0))
        page.listen()
        monkeypatch.setattr(module, "PAGE", page.getsockname())
        assert settled([], small.folder) == []


def test_another_run_is_not_disturbed(small: Small) -> None:
    program = "from finery.pipeline.settled import settled; settled([])"
    with only_run(small.folder):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=small.folder,
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
        )
    assert f"{BusyError.__name__}: another run is under way here" in done.stderr


def test_the_command_loads_no_prefect_and_records_the_run(tmp_path: Path) -> None:
    small = make(tmp_path / "small")
    shutil.copy(ROOT / "params.yaml", small.folder)
    shutil.copytree(ROOT / "templates", small.folder / "templates")
    small.repro()
    program = f"""
import sys
sys.argv = ["finery", "run"]
from finery.cli import app
from finery.pipeline import settled
settled.PAGE = {module.PAGE}
try:
    app()
finally:
    print([name for name in ("prefect", "torch", "transformers") if name in sys.modules])
"""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=small.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [line.split() for line in done.stdout.splitlines()] == [
        ["stage", "outcome", "seconds", "why"],
        *([name, "cached"] for name in ("prepare", "train", "quantize@gptq", "quantize@awq")),
        ["report", "cached"],
        ["[]"],
    ]
    run = json.loads((small.folder / ".finery/runs.jsonl").read_text())
    assert [stage["result"] for stage in run["stages"]] == ["cached"] * 5
