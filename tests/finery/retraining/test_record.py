"""Every retraining is on record, whatever became of it."""

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from finery.retraining.errors import AnotherRun
from finery.retraining.record import RETRAINS, ROOM, history, on_record, recorded, settle

KILLED = """
import os, signal, sys
from pathlib import Path
from finery.retraining.record import recorded
with recorded(Path(sys.argv[1])) as run:
    run.outcome = "released"
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_run_says_what_became_of_it(tmp_path: Path) -> None:
    with recorded(tmp_path) as run:
        assert [each.outcome for each in history(tmp_path)] == [None]
        run.outcome, run.reason, run.versions = "released", "better\nby far", {"merged": "v0.2.0"}
    (found,) = history(tmp_path)
    assert (found.outcome, found.reason) == ("released", "better by far")
    assert found.versions == {"merged": "v0.2.0"}
    assert found.seconds is not None and 0 <= found.seconds < 10


def test_one_that_was_killed_is_interrupted(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], timeout=60)
    assert done.returncode == -signal.SIGKILL
    assert [run.outcome for run in history(tmp_path)] == [None]
    with recorded(tmp_path) as run:
        assert [run.outcome for run in history(tmp_path)] == ["interrupted", None]
        run.outcome = "nothing changed"
    assert [run.outcome for run in history(tmp_path)] == ["interrupted", "nothing changed"]


def test_the_end_of_a_killed_one_is_known_before_the_next(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)])
    settle(tmp_path)
    assert [run.outcome for run in history(tmp_path)] == ["interrupted"]
    with recorded(tmp_path) as run:
        settle(tmp_path)
        assert [each.outcome for each in history(tmp_path)] == ["interrupted", None]
        run.outcome = "released"


def test_half_a_line_costs_that_line_alone(tmp_path: Path) -> None:
    with recorded(tmp_path) as run:
        run.outcome = "worse"
    with (tmp_path / RETRAINS).open("a") as file:
        file.write('\n{"id": "cut", "started": "2026-')
    with recorded(tmp_path) as run:
        run.outcome = "released"
    assert [run.outcome for run in history(tmp_path)] == ["worse", "released"]


def test_every_line_is_json_whatever_a_reason_says(tmp_path: Path) -> None:
    said = 'data/\udcff.json, \u2028 and \x1c: no "UTF-8"'
    with recorded(tmp_path) as run:
        run.outcome, run.reason, run.changed = "bad data", said, [said]
    with (tmp_path / RETRAINS).open("a") as file:
        file.write('\nnull\n{"id": "without the rest"}\n[1]')
    (found,) = history(tmp_path)
    assert found.changed == [said]
    lines = (tmp_path / RETRAINS).read_text(encoding="utf-8").split("\n")
    assert [json.loads(line, parse_constant=pytest.fail) for line in filter(None, lines)]


def test_only_one_at_a_time(tmp_path: Path) -> None:
    with recorded(tmp_path) as run:
        run.outcome = "released"
        with pytest.raises(AnotherRun), recorded(tmp_path):
            pass
    assert len(history(tmp_path)) == 1


def test_who_begins_early_goes_on_with_the_same_run(tmp_path: Path) -> None:
    with recorded(tmp_path) as run:
        with on_record(tmp_path) as same:
            same.outcome = "worse"
        assert same is run
    with on_record(tmp_path) as new:
        new.outcome = "released"
    assert [run.outcome for run in history(tmp_path)] == ["worse", "released"]


def test_a_full_disk_is_on_record(small_disk: Path) -> None:
    with recorded(small_disk) as run:
        run.outcome = "released"
    filler = small_disk / "filler"
    with pytest.raises(OSError), filler.open("wb") as file:
        while True:
            file.write(bytes(4096))
    for _ in range(3):
        with recorded(small_disk) as run:
            run.outcome, run.reason = "disk full", "no room for a model"
    filler.unlink()
    with recorded(small_disk) as run:
        run.outcome = "released"
    outcomes = [run.outcome for run in history(small_disk)]
    assert outcomes == ["released", "disk full", "disk full", "disk full", "released"]
    assert (small_disk / ROOM).stat().st_size > 100_000, "room is kept again"


@pytest.fixture
def small_disk(tmp_path: Path):
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "small", str(disk)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("a file system of its own takes root")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)
