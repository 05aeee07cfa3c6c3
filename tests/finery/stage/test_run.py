"""What a stage leaves behind when it ends well, badly, or not by itself."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from finery.stage.run import _had

ROOT = Path(__file__).resolve().parents[3]
STAGE = '''
import sys, time
from pathlib import Path
from finery.errors import PipelineError, UserError
from finery.params.step import StepParams


def cook(params: StepParams, step: str, source: Path, *, dish: Path, note: Path) -> None:
    """Cook."""
    dish.mkdir()
    (dish / "first").write_text(source.read_text())
    note.write_text(str(params.tuner.rank))
    {body}
    (dish / "second").write_text("done")


if __name__ == "__main__":
    from finery.stage.run import run

    run(cook)
'''


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    (tmp_path / "source").write_text("flour")
    return tmp_path


def start(project: Path, body: str, into: str = "out", stage: str = STAGE) -> subprocess.Popen:
    (project / "cook.py").write_text(stage.replace("{body}", body))
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("DVC_STAGE", None)
    outputs = [f"--dish={into}/dish", f"--note={into}/note"]
    return subprocess.Popen(
        [sys.executable, "cook.py", "--step=sft", "--source=source", *outputs],
        cwd=project,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def cook(
    project: Path, body: str = "pass", into: str = "out", stage: str = STAGE
) -> tuple[int, str]:
    """Run the stage; its exit status and what it said on stderr."""
    process = start(project, body, into, stage)
    said = process.communicate(timeout=60)[1]
    return process.returncode, said


def files(folder: Path) -> dict[str, str]:
    """Every file below a folder, hidden ones too, and what is in it."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.read_text() for path in found}


WHOLE = {"dish/first": "flour", "dish/second": "done", "note": "16"}


def test_whole_outputs_replace_the_old_ones(project: Path):
    assert cook(project) == (0, "")
    assert files(project / "out") == WHOLE
    (project / "source").write_text("rye")
    (project / "out" / "dish" / "leftover").touch()
    assert cook(project) == (0, "")
    assert files(project / "out") == WHOLE | {"dish/first": "rye"}


@pytest.mark.parametrize(
    "body, status, said",
    [
        ("raise UserError('a.json: row 3: wrong')", 2, "cook: a.json: row 3: wrong\n"),
        ("raise PipelineError('fell short')", 1, "cook: fell short\n"),
        ("import signal; signal.raise_signal(signal.SIGINT)", 130,
         "cook: interrupted; the next run goes on from here\n"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("before", [False, True])
def test_an_error_is_one_line_and_the_old_outputs_stay(
    project: Path, body: str, status: int, said: str, before: bool
):
    if before:
        cook(project)
    kept = files(project / "out")
    assert cook(project, body) == (status, said)
    assert files(project / "out") == kept
    assert bool(kept) == before


def test_a_bug_stays_visible(project: Path):
    cook(project)
    status, said = cook(project, "{}['no such key']")
    assert status == 1
    assert said.startswith("Traceback") and said.endswith("KeyError: 'no such key'\n")
    assert files(project / "out") == WHOLE


def test_a_missing_input(project: Path):
    (project / "source").unlink()
    assert cook(project) == (
        2,
        "cook: source: missing; no stage makes it; put it there, or correct its name in"
        " params.yaml\n",
    )
    assert not (project / "out").exists()


@pytest.mark.parametrize("path", ["models/base", "data/prepared/sft/train", "reports/gate/r.json"])
def test_a_missing_input_that_a_stage_makes(path: str):
    assert _had(Path(path), "train@sft") == "`dvc repro train@sft` makes it"
    assert _had(Path(f"data/raw/{path}"), "prepare@sft").startswith("no stage makes it; ")


def test_settings_are_checked_first(project: Path):
    text = (project / "params.yaml").read_text()
    (project / "params.yaml").write_text(text.replace("rank:", "rnak:").replace("clip:", "clap:"))
    status, said = cook(project)
    assert status == 2
    lines = said.splitlines()
    assert len(lines) == 2
    assert lines[0].endswith(": train.sft.tuner.rnak: unknown key; did you mean rank?")
    assert lines[1].endswith(": quantize.awq.clap: unknown key; did you mean clip?")
    assert all(line.startswith("cook: params.yaml:") for line in lines)
    assert not (project / "out").exists()


def test_checkpoints_outlive_a_failure_and_no_more(project: Path):
    def names() -> set[str]:
        return {path.name for path in (project / ".finery/checkpoints").rglob("step-*")}

    stage = STAGE.replace("note: Path)", "note: Path, checkpoints: Path)")
    seen = "print(sorted(p.name for p in checkpoints.glob('*')), file=sys.stderr)"
    save = f"{seen}; (checkpoints / 'step-1').touch()"
    assert cook(project, f"{save}; raise UserError('no')", stage=stage) == (2, "[]\ncook: no\n")
    assert names() == {"step-1"}
    # Outside DVC nobody knows what it was made from, so it is not gone on from.
    assert cook(project, save, stage=stage) == (0, "[]\n")
    assert names() == set()


def kill(project: Path, with_signal: signal.Signals, body: str = "time.sleep(60)") -> int:
    """Start the stage, wait until it is half-way, and end it; its exit status."""
    process = start(project, body)
    half_way = project / "out" / ".partial-note"
    deadline = time.monotonic() + 30
    while not (half_way.exists() and half_way.read_text()):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1]
        time.sleep(0.02)
    process.send_signal(with_signal)
    process.communicate(timeout=30)
    return process.returncode


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGINT])
def test_told_to_end_it_cleans_up(project: Path, sent: signal.Signals):
    cook(project)
    assert kill(project, sent) == 128 + sent
    assert files(project / "out") == WHOLE


def test_no_library_keeps_it_from_ending(project: Path):
    """As one that swallows every exception, with a thread that has no end."""
    body = """
    import threading
    threading.Thread(target=time.sleep, args=[60]).start()
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""
    start_of = time.monotonic()
    assert kill(project, signal.SIGINT, body.strip()) == 128 + signal.SIGINT
    assert time.monotonic() - start_of < 30
    assert files(project / "out") == {}


def test_a_worker_that_is_ended_takes_nothing_of_the_stages_along(project: Path):
    body = """
    import multiprocessing
    worker = multiprocessing.get_context("fork").Process(target=time.sleep, args=[60])
    worker.start()
    time.sleep(0.5)
    worker.terminate()
    worker.join()
"""
    assert cook(project, body.strip()) == (0, "")
    assert files(project / "out") == WHOLE


def test_killed_it_leaves_a_partial_output_that_the_next_run_removes(project: Path):
    assert kill(project, signal.SIGKILL) == -signal.SIGKILL
    assert files(project / "out") == {".partial-dish/first": "flour", ".partial-note": "16"}
    assert cook(project, "raise UserError('no')") == (2, "cook: no\n")
    assert files(project / "out") == {}
    assert kill(project, signal.SIGKILL) == -signal.SIGKILL
    assert cook(project) == (0, "")
    assert files(project / "out") == WHOLE


@pytest.fixture
def small_disk(project: Path) -> Iterator[Path]:
    """Two megabytes, mounted at `small` in the project."""
    folder = project / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)]
    try:
        done = subprocess.run(mount, capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        pytest.skip("no mount command to make a small disk with")
    if done.returncode:
        pytest.skip(f"may not mount a small disk: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True, timeout=30)


TAKERS = {
    "python": "bytearray(1 << 60)",
    "numpy": "import numpy; numpy.empty(1 << 60, 'uint8')",
    "torch": "import torch; torch.empty(1 << 60, dtype=torch.uint8)",
    "pyarrow": "import pyarrow; pyarrow.allocate_buffer(1 << 60)",
}


@pytest.mark.parametrize("taker", TAKERS)
def test_a_full_memory_is_one_line_and_the_old_outputs_stay(project: Path, taker: str):
    assert cook(project) == (0, "")
    status, said = cook(project, TAKERS[taker])
    assert status == 1
    assert said.startswith("cook: the memory is full (") and said.count("\n") == 1, said
    assert files(project / "out") == WHOLE


WRITERS = {
    "python": "(dish / 'big').write_bytes(bytes(4_000_000))",
    "shutil": "import shutil; shutil.copyfile('big', dish / 'big')",
    "safetensors": "import numpy, safetensors.numpy as s;"
    " s.save_file({'a': numpy.zeros(4_000_000, 'uint8')}, dish / 'big.safetensors')",
    "parquet": "import random; from finery.data.prepared import write_parquet;"
    " ids = [random.getrandbits(31) for _ in range(1_000_000)];"
    " row = {'dataset': 'd', 'input_ids': ids, 'labels': ids};"
    " write_parquet(dish / 'big.parquet', 'samples', [row])",
}


@pytest.mark.parametrize("writer", WRITERS)
def test_a_full_disk_is_one_line_and_the_old_outputs_stay(
    project: Path, small_disk: Path, writer: str
):
    (project / "big").write_bytes(bytes(4_000_000))
    assert cook(project, into="small") == (0, "")
    status, said = cook(project, WRITERS[writer], into="small")
    assert status == 1
    assert said.startswith("cook: the disk is full (") and said.count("\n") == 1, said
    assert files(small_disk) == WHOLE
