"""What a kill can leave behind: each stops a run or lies about, and none does after `recover`."""

import fcntl
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from finery.git import GitError
from finery.pipeline.recovery import recover

from .small import Small

RWLOCK = ".dvc/tmp/rwlock"


def repro(small: Small) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", "repro"], cwd=small.folder, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


def holders(**by_path: int) -> str:
    write = {path: {"pid": pid, "cmd": "/bin/dvc repro"} for path, pid in by_path.items()}
    return json.dumps({"write": write, "read": {"/there": list(write.values())}})


@pytest.fixture
def sleeper() -> Iterator[subprocess.Popen]:
    process = subprocess.Popen(["sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_nothing_to_heal(small: Small, tmp_path: Path) -> None:
    assert recover(small.folder) == []
    assert recover(tmp_path) == [], "no project is nothing to heal either"
    assert not (tmp_path / ".dvc").exists()


@pytest.mark.parametrize("seed", range(6))
def test_dvc_lock_cut_off_anywhere_costs_no_stage(small: Small, seed: int) -> None:
    small.write("notes.txt", "newer than the commit\n")
    small.repro()
    whole = (small.folder / "dvc.lock").read_text()
    small.write("dvc.lock", whole[: random.Random(seed).randrange(len(whole) * seed // 6 + 1)])
    healed = recover(small.folder)
    assert healed in ([], [
        "dvc.lock: was cut off by a kill; the last commit's is back, DVC restores the rest from"
        " its cache"
    ])  # fmt: skip
    status, output = repro(small)
    assert (status, "Running stage" in output) == (0, False), output
    assert (small.folder / "dvc.lock").read_text() == whole


def test_an_empty_dvc_lock_that_no_commit_has(small: Small) -> None:
    whole = (small.folder / "dvc.lock").read_text()
    small.git("rm", "--quiet", "--cached", "dvc.lock")
    small.git("commit", "--quiet", "-m", "Without")
    small.write("dvc.lock", "")
    assert repro(small)[0] != 0
    assert recover(small.folder)[0].startswith("dvc.lock: was cut off by a kill; removed, DVC")
    status, output = repro(small)
    assert (status, "Running stage" in output) == (0, False), output
    assert (small.folder / "dvc.lock").read_text() == whole


def test_a_dvc_lock_that_git_does_not_give_back_stays(
    small: Small, monkeypatch: pytest.MonkeyPatch
) -> None:
    small.write("dvc.lock", "schema: '2.0'\nsta")
    monkeypatch.setenv("GIT_TEST_ASSUME_DIFFERENT_OWNER", "1")
    with pytest.raises(GitError, match="dubious ownership"):
        recover(small.folder)
    assert (small.folder / "dvc.lock").read_text() == "schema: '2.0'\nsta"


def test_a_dvc_lock_that_git_left_in_conflict_is_for_a_person(small: Small) -> None:
    text = "<<<<<<< ours\nschema: '2.0'\n=======\nschema: '1.0'\n>>>>>>> theirs\n"
    small.write("dvc.lock", text)
    assert recover(small.folder) == []
    assert (small.folder / "dvc.lock").read_text() == text


@pytest.mark.parametrize("text", ["", '{"write": {"/a', "[]"])
def test_a_lock_file_cut_off(small: Small, text: str) -> None:
    small.write("notes.txt", "changed\n")
    small.write(RWLOCK, text)
    assert repro(small)[0] != 0
    assert recover(small.folder) == [".dvc/tmp/rwlock: was cut off by a kill; removed"]
    assert repro(small)[0] == 0


def test_locks_of_a_number_that_another_process_has_now(
    small: Small, sleeper: subprocess.Popen
) -> None:
    small.write("notes.txt", "changed\n")
    small.write(RWLOCK, holders(**{str(small.folder / "report"): sleeper.pid}))
    assert "is busy" in repro(small)[1]
    healed = [f".dvc/tmp/rwlock: freed the locks of process {sleeper.pid}, which is gone"]
    assert recover(small.folder) == healed
    assert repro(small)[0] == 0


def test_locks_of_a_dvc_of_the_same_number_that_began_after_they_were_taken(small: Small) -> None:
    """As in a container that was started again."""
    later = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)", "dvc", "repro"])
    try:
        small.write(RWLOCK, holders(**{str(small.folder / "report"): later.pid}))
        assert recover(small.folder) == []
        os.utime(small.folder / RWLOCK, (time.time() - 60, time.time() - 60))
        assert len(recover(small.folder)) == 1
    finally:
        later.kill()
        later.wait()


def test_locks_of_a_zombie(small: Small) -> None:
    zombie = subprocess.Popen(["true"])
    os.waitid(os.P_PID, zombie.pid, os.WEXITED | os.WNOWAIT)
    small.write("notes.txt", "changed\n")
    small.write(RWLOCK, holders(**{str(small.folder / "report"): zombie.pid}))
    assert "is busy" in repro(small)[1]
    assert len(recover(small.folder)) == 1
    assert repro(small)[0] == 0
    zombie.wait()


def test_left_overs_beside_outputs_and_nothing_else(small: Small) -> None:
    left = {".partial-model", ".partial-report", ".abcdefghijklmnopqrstuv.tmp", ".finery/work/gptq"}
    kept = {".partial-thoughts", ".mine.tmp"}
    (small.folder / ".partial-model").mkdir()
    for name in (".partial-model/weights", *(left | kept) - {".partial-model"}):
        small.write(name if name != ".finery/work/gptq" else f"{name}/layer", "")
    healed = recover(small.folder)
    assert {line.partition(":")[0] for line in healed} == left
    assert not any((small.folder / name).exists() for name in left)
    assert all((small.folder / name).exists() for name in kept)


def test_a_run_under_way_is_left_alone(small: Small) -> None:
    """Its stage writes: what it has half written is not a left-over, and its locks are its own."""
    small.replace("dvc.yaml", "cat gptq awq > report", "touch began; sleep 60")
    small.write(".partial-report", "")
    run = subprocess.Popen([sys.executable, "-m", "dvc", "repro", "--quiet"], cwd=small.folder)
    try:
        while not (small.folder / "began").exists():
            assert run.poll() is None
            time.sleep(0.05)
        locks = (small.folder / RWLOCK).read_text()
        assert recover(small.folder) == []
        assert (small.folder / RWLOCK).read_text() == locks
        assert (small.folder / ".partial-report").exists()
    finally:
        subprocess.run(["pkill", "-P", str(run.pid)])
        run.wait()
    assert recover(small.folder) != []
    assert not (small.folder / ".partial-report").exists()


def test_while_dvc_writes_its_files_nothing_is_judged(small: Small) -> None:
    small.write("dvc.lock", "")
    with (small.folder / ".dvc/tmp/lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert recover(small.folder) == []
    assert recover(small.folder) != []
