"""A project is read at any time: while a run holds DVC's locks, from many threads, half written."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import chdir
from pathlib import Path

import pytest
from dvc.repo import Repo

from finery.pipeline.errors import ProjectError, UnreadableError
from finery.pipeline.status import reasons, status

from .small import Small


def test_while_a_stage_runs(small: Small) -> None:
    small.replace("dvc.yaml", "cat gptq awq > report", "touch started && sleep 60 && touch report")
    small.write("notes.txt", "other")
    run = [sys.executable, "-m", "dvc", "repro"]
    process = subprocess.Popen(run, cwd=small.folder, start_new_session=True)
    try:
        wait_for(small.folder / "started")
        begin = time.monotonic()
        found = {each.name: each.reasons for each in status(small.folder) if each.reasons}
        took = time.monotonic() - begin
    finally:
        subprocess.run(["kill", "-KILL", "--", f"-{process.pid}"], check=True)
        process.wait()
    assert found == {"report": ("command changed", "notes.txt changed", "report missing")}
    assert took < 5


def wait_for(file: Path) -> None:
    end = time.monotonic() + 60
    while not file.exists():
        assert time.monotonic() < end
        time.sleep(0.05)


def test_while_another_holds_the_lock(small: Small) -> None:
    with chdir(small.folder), Repo() as repo, repo.lock:
        assert {each.state for each in status(small.folder)} == {"unchanged"}


def test_from_threads(small: Small) -> None:
    small.replace("params.yaml", "2.0e-4", "1e-4")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: reasons("train", small.folder), range(12)))
    assert set(found) == {("params train.sft.learning_rate 0.0002 -> 0.0001",)}


@pytest.mark.parametrize("share", [0.0, 0.5, 0.97])
def test_a_lock_file_that_is_being_written(small: Small, share: float) -> None:
    """DVC writes dvc.lock in place: what was there of it at first must not be taken for all."""
    lock = small.folder / "dvc.lock"
    whole = lock.read_text()
    lock.write_text(whole[: int(len(whole) * share)])
    finish = threading.Timer(0.02, lock.write_text, [whole])
    finish.start()
    assert {each.state for each in status(small.folder)} == {"unchanged"}
    finish.join()


WRONG: dict[str, tuple[Callable[[Small], object], str]] = {
    "dvc.yaml is not YAML": (
        lambda p: p.write("dvc.yaml", "stages:\n  one: {cmd: [\n"),
        "dvc.yaml:3: not YAML: did not find expected node content",
    ),
    "dvc.yaml has an unknown key": (
        lambda p: p.replace("dvc.yaml", "    deps: [prepared]", "    depz: [prepared]"),
        "dvc.yaml: stages.train.depz: extra keys not allowed",
    ),
    "dvc.yaml names a setting that is not there": (
        lambda p: p.replace("dvc.yaml", "cat gptq awq", "cat ${nope}"),
        "failed to parse 'stages.report.cmd' in 'dvc.yaml': Could not find 'nope'",
    ),
    "dvc.yaml makes an output twice": (
        lambda p: p.replace("dvc.yaml", "outs: [report]", "outs: [model]"),
        "output 'model' is specified in:",
    ),
    "dvc.lock has a merge conflict": (
        lambda p: p.write("dvc.lock", "<<<<<<< HEAD\nschema: '2.0'\n"),
        "dvc.lock:2: not YAML: mapping values are not allowed in this context; "
        "restore it: finery recover, or git checkout dvc.lock",
    ),
    "dvc.lock is empty": (
        lambda p: p.write("dvc.lock", ""),
        "dvc.lock: schema: required key not provided; restore it: finery recover, or git checkout"
        " dvc.lock",
    ),
    "params.yaml is not YAML": (
        lambda p: p.write("params.yaml", "train: {"),
        "unable to read: 'params.yaml', YAML file structure is corrupted",
    ),
    "a link that leads nowhere": (
        lambda p: (p.folder / "data/raw/link").symlink_to("nowhere"),
        "data/raw/link: no such file or directory; mend or remove it",
    ),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_dvc_cannot_read_is_said_in_a_line(
    small: Small, wrong: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    edit, expected = WRONG[wrong]
    edit(small)
    monkeypatch.chdir(small.folder)
    with pytest.raises(UnreadableError) as caught:
        status()
    message = str(caught.value).removeprefix(f"{small.folder}/")
    assert message.startswith(expected)
    assert "\n" not in message


def test_no_project(tmp_path: Path) -> None:
    with pytest.raises(ProjectError) as caught:
        status(tmp_path)
    assert str(caught.value) == f"{tmp_path}: no project; run from the project's root"
