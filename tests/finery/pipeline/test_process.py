"""A stage in a DVC process of its own: its lines, its end, and that nothing outlives its caller."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from finery.pipeline.errors import StoppedError
from finery.pipeline.process import allow, run_stage, stop_all

ROOT = Path(__file__).resolve().parents[3]
Folder = Callable[..., Path]


@pytest.fixture(autouse=True)
def stages_may_start() -> None:
    allow()


@pytest.fixture
def make(tmp_path: Path) -> Folder:
    """Makes a DVC project of one stage, which runs a Python program."""

    def project(program: str, name: str = "project") -> Path:
        folder = tmp_path / name
        (folder / ".dvc").mkdir(parents=True)
        (folder / ".dvc/config").write_text("[core]\n    no_scm = true\n")
        (folder / "program.py").write_text(textwrap.dedent(program))
        (folder / "dvc.yaml").write_text(
            "stages: {only: {cmd: python program.py, deps: [program.py], outs: [out]}}"
        )
        return folder

    return project


SLOW = """
    import sys, time
    from pathlib import Path
    try:
        Path("started").touch()
        while True:
            time.sleep(0.05)
            Path("beat").write_text(str(time.time()))
    except KeyboardInterrupt:
        Path("cleaned").touch()
        sys.exit(130)
"""
DEAF = """
    import multiprocessing, signal, time
    from pathlib import Path
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    multiprocessing.get_context("fork").Process(target=time.sleep, args=[60]).start()
    Path("started").touch()
    time.sleep(60)
"""


def alive(folder: Path) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.cwd() == str(folder):
                found.append(process.pid)
        except psutil.Error:
            continue
    return found


def wait_for(happened: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.02)


def in_thread(folder: Path, ended: list[int]) -> threading.Thread:
    thread = threading.Thread(target=lambda: ended.append(run_stage("only", print, folder)))
    thread.start()
    wait_for((folder / "started").exists)
    return thread


def test_every_line_as_it_comes_and_the_status(make: Folder) -> None:
    folder = make(r"""
        import os, sys, time
        print("1/3\r2/3", end="\r")
        time.sleep(0.5)
        print("3/3\nseen", file=sys.stderr)
        open("out", "w").write(os.environ["EXTRA"])
    """)
    seen: list[tuple[str, float]] = []
    status = run_stage(
        "only", lambda line: seen.append((line, time.monotonic())), folder, {"EXTRA": "yes"}
    )
    lines = dict(seen)
    assert status == 0
    assert [line for line, _ in seen if line in ("1/3", "2/3", "3/3", "seen")] == [
        "1/3", "2/3", "3/3", "seen",
    ]  # fmt: skip
    assert lines["seen"] - lines["1/3"] > 0.3
    assert (folder / "out").read_text() == "yes"
    assert alive(folder) == []


def test_a_stage_that_fails_is_a_status_and_its_own_words(make: Folder) -> None:
    folder = make("raise SystemExit('row 3: wrong')")
    lines: list[str] = []
    assert run_stage("only", lines.append, folder) == 255
    assert "row 3: wrong" in lines


def test_the_stages_python_is_this_one(make: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    folder = make("import sys; open('out', 'w').write(sys.executable)")
    assert run_stage("only", print, folder) == 0
    assert Path((folder / "out").read_text()).parent == Path(sys.executable).parent


def test_stopped_from_another_thread_the_stage_cleans_up(make: Folder) -> None:
    folder, ended = make(SLOW), []
    thread = in_thread(folder, ended)
    stop_all()
    assert alive(folder) == []
    assert (folder / "cleaned").exists()
    thread.join(timeout=10)
    assert ended == [255]


def test_a_stage_that_will_not_end_is_killed_and_its_children_too(
    make: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("finery.pipeline.process.GRACE", 1.0)
    folder, ended = make(DEAF), []
    thread = in_thread(folder, ended)
    assert len(alive(folder)) >= 3
    stop_all()
    wait_for(lambda: alive(folder) == [], 5)
    thread.join(timeout=10)
    assert ended == [-signal.SIGKILL]


def test_none_starts_once_all_were_stopped(make: Folder) -> None:
    folder = make("open('out', 'w')")
    stop_all()
    with pytest.raises(StoppedError, match="only: not started"):
        run_stage("only", print, folder)
    assert not (folder / "out").exists()


def test_what_its_caller_raises_ends_it(make: Folder) -> None:
    folder = make("import time; print('here', flush=True); time.sleep(60)")

    def raises(line: str) -> None:
        if line == "here":
            raise ValueError(line)

    with pytest.raises(ValueError, match="here"):
        run_stage("only", raises, folder)
    assert alive(folder) == []


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
@pytest.mark.parametrize("thread", [False, True], ids=["main", "worker"])
def test_nothing_outlives_its_caller(make: Folder, sent: signal.Signals, thread: bool) -> None:
    folder = make(BEATING)
    call = "run_stage('only', print, Path(sys.argv[1]))"
    if thread:
        call = f"t = threading.Thread(target=lambda: {call}, daemon=True); t.start(); t.join()"
    program = "import sys, threading; from pathlib import Path\n"
    program += f"from finery.pipeline.process import run_stage\n{call}"
    caller = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
    )
    wait_for((folder / "started").exists)
    caller.send_signal(sent)
    caller.wait(timeout=30)
    wait_for(lambda: alive(folder) == [], 5)
    beat = (folder / "beat").read_text()
    time.sleep(0.3)
    assert (folder / "beat").read_text() == beat


BEATING = """
    import time
    from pathlib import Path
    Path("beat").touch()
    Path("started").touch()
    while True:
        time.sleep(0.05)
        Path("beat").write_text(str(time.time()))
"""


def server() -> psutil.Process:
    (found,) = (p for p in psutil.Process().children() if "dvc_server" in " ".join(p.cmdline()))
    return found


def test_one_dvc_is_loaded_for_all_stages(make: Folder) -> None:
    first, second = make("open('out', 'w')"), make("open('out', 'w')", "second")
    assert run_stage("only", print, first) == 0
    loaded = server()
    assert loaded.num_threads() == 1  # or what it forks could wait for ever
    assert run_stage("only", print, second) == 0
    assert server() == loaded
    wait_for(lambda: loaded.children() == [], 5)


def test_a_dvc_that_was_killed_is_loaded_anew(make: Folder) -> None:
    first, second = make("open('out', 'w')"), make("open('out', 'w')", "second")
    run_stage("only", print, first)
    killed = server()
    killed.kill()
    assert run_stage("only", print, second) == 0
    assert server() != killed


def test_a_stage_goes_on_without_the_server_that_started_it(make: Folder) -> None:
    folder, ended = make(SLOW), []
    thread = in_thread(folder, ended)
    server().kill()
    stop_all()
    assert alive(folder) == [] and (folder / "cleaned").exists()
    thread.join(timeout=10)
    assert ended == [255]


def test_a_stage_has_nothing_of_its_callers_but_the_output(make: Folder) -> None:
    folder = make("""
        import os
        open("out", "w").write(str(sorted(os.listdir("/proc/self/fd"), key=int)[:-1]))
    """)
    assert run_stage("only", print, folder) == 0
    assert (folder / "out").read_text() in ("['0', '1', '2']", "['0', '1', '2', '3']")


def test_the_server_ends_with_its_caller(make: Folder) -> None:
    folder = make("open('out', 'w')")
    program = "import sys; from pathlib import Path; from finery.pipeline import process\n"
    program += "process.run_stage('only', print, Path(sys.argv[1]))\n"
    program += "print('pid', process._server[1].pid, flush=True); sys.stdin.read()"
    caller = subprocess.Popen(
        [sys.executable, "-c", program, str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    pid = next(int(line.split()[1]) for line in caller.stdout if line.startswith("pid "))
    assert psutil.pid_exists(pid)
    caller.kill()
    caller.wait()
    wait_for(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie", 5)
