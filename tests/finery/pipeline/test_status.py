"""What would run, and why: DVC's verdict on every stage, in the user's words."""

import os
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

import pytest
from dvc.repo import Repo

from finery.pipeline.errors import ProjectError
from finery.pipeline.status import StageStatus, reasons, status

from .small import Small, make

RATE = "params train.sft.learning_rate 0.0002 -> 0.0001"
CHANGES: dict[str, tuple[Callable[[Small], object], dict[str, tuple[str, ...]]]] = {
    "nothing": (lambda p: None, {}),
    "every file touched": (
        lambda p: [os.utime(f) for f in p.folder.rglob("*") if ".git" not in f.parts],
        {},
    ),
    "a param": (lambda p: p.replace("params.yaml", "2.0e-4", "1e-4"), {"train": (RATE,)}),
    "a param of another spelling": (lambda p: p.replace("params.yaml", "2.0e-4", "0.0002"), {}),
    "a param that nothing reads": (
        lambda p: p.replace("params.yaml", "unread: 1", "unread: 2"),
        {},
    ),
    "two params": (
        lambda p: p.write(
            "params.yaml",
            "data: {size: 11, names: [a, c]}\n"
            "train: {sft: {learning_rate: 2.0e-4, tuner: {rank: 8}}}\n",
        ),
        {"prepare": ("params data.size 10 -> 11", 'params data.names.1 "b" -> "c"')},
    ),
    "a list of another length": (
        lambda p: p.replace("params.yaml", "[a, b]", "[a]"),
        {"prepare": ('params data.names ["a", "b"] -> ["a"]',)},
    ),
    "a param added": (
        lambda p: p.replace("params.yaml", "{rank: 8}", "{rank: 8, alpha: null}"),
        {"train": ("params train.sft.tuner.alpha added: null",)},
    ),
    "a param removed": (
        lambda p: p.replace("params.yaml", "size: 10, ", ""),
        {"prepare": ("params data.size removed, was 10",)},
    ),
    "a section removed": (
        lambda p: p.replace("params.yaml", "    tuner: {rank: 8}\n", ""),
        {"train": ('params train.sft.tuner removed, was {"rank": 8}',)},
    ),
    "params.yaml removed": (
        lambda p: p.remove("params.yaml"),
        {"prepare": ("params.yaml missing",), "train": ("params.yaml missing",)},
    ),
    "a file": (lambda p: p.write("notes.txt", "other"), {"report": ("notes.txt changed",)}),
    "a file removed": (lambda p: p.remove("notes.txt"), {"report": ("notes.txt missing",)}),
    "a file of a folder": (
        lambda p: p.write("data/raw/two.txt", "2"),
        {"prepare": ("data/raw/two.txt changed",)},
    ),
    "files of a folder": (
        lambda p: [p.write("data/raw/new.txt", "2"), p.remove("data/raw/one.txt")],
        {"prepare": ("data/raw/new.txt is new", "data/raw/one.txt missing")},
    ),
    "many files of a folder": (
        lambda p: [p.write(f"data/raw/{n}.txt", "") for n in range(7)],
        {
            "prepare": (
                "data/raw/0.txt is new",
                "data/raw/1.txt is new",
                "data/raw/2.txt is new",
                "and 4 more in data/raw",
            )
        },
    ),
    "a folder removed": (lambda p: p.remove("data/raw"), {"prepare": ("data/raw missing",)}),
    "code": (
        lambda p: p.write("finery/clean.py", ""),
        {"prepare": ("code finery/clean.py changed",)},
    ),
    "code in a folder": (
        lambda p: p.write("finery/cleaning/sub/new.py", ""),
        {"prepare": ("code finery/cleaning/sub/new.py is new",)},
    ),
    "an output changed": (
        lambda p: p.write("model", "other"),
        {
            "train": ("model changed since it was made",),
            "quantize@gptq": ("model changed",),
            "quantize@awq": ("model changed",),
        },
    ),
    "an output removed": (
        lambda p: p.remove("awq"),
        {"quantize@awq": ("awq missing",), "report": ("awq missing",)},
    ),
    "a file of an output": (
        lambda p: p.write("prepared/n", "8"),
        {"prepare": ("prepared changed since it was made",), "train": ("prepared/n changed",)},
    ),
    "a metric": (
        lambda p: p.write("score.json", "2"),
        {"train": ("score.json changed since it was made",)},
    ),
    "the last output removed": (lambda p: p.remove("report"), {"report": ("report missing",)}),
    "the cache of an output": (
        lambda p: [p.write("report", (p.folder / "report").read_text()), drop(p, "report")],
        {"report": ("report missing from DVC's cache",)},
    ),
    "the command": (
        lambda p: p.replace("dvc.yaml", "cat gptq awq", "cat awq gptq"),
        {"report": ("command changed",)},
    ),
    "a new dependency": (
        lambda p: p.replace("dvc.yaml", "awq, notes.txt]", "awq, notes.txt, finery/clean.py]"),
        {"report": ("code finery/clean.py is new",)},
    ),
    "a new output": (
        lambda p: [p.replace("dvc.yaml", "outs: [report]", "outs: [report, x]"), p.write("x", "")],
        {"report": ("x is new",)},
    ),
    "a stage that always runs": (
        lambda p: p.replace(
            "dvc.yaml", "outs: [report]", "outs: [report]\n    always_changed: true"
        ),
        {"report": ("runs every time",)},
    ),
    "a new stage": (
        lambda p: p.replace("dvc.yaml", "  report:", "  new: {cmd: x, deps: [model]}\n  report:"),
        {"new": ("never run",)},
    ),
    "a frozen stage": (
        lambda p: [
            p.replace("dvc.yaml", "outs: [model]", "outs: [model]\n    frozen: true"),
            p.replace("params.yaml", "2.0e-4", "1e-4"),
        ],
        {},
    ),
    "several": (
        lambda p: [
            p.replace("params.yaml", "2.0e-4", "1e-4"),
            p.write("data/raw/two.txt", "2"),
            p.write("finery/clean.py", ""),
        ],
        {"prepare": ("data/raw/two.txt changed", "code finery/clean.py changed"), "train": (RATE,)},
    ),
}


def drop(project: Small, output: str) -> None:
    """Take an output out of DVC's cache."""
    content = (project.folder / output).read_bytes()
    for file in (project.folder / ".dvc/cache/files").rglob("*"):
        if file.is_file() and file.read_bytes() == content:
            file.unlink()


@pytest.mark.parametrize("change", CHANGES)
def test_the_reasons_and_the_verdict_are_dvcs(small: Small, change: str) -> None:
    edit, expected = CHANGES[change]
    edit(small)
    found = {each.name: each.reasons for each in status(small.folder) if each.state == "changed"}
    assert found == expected
    assert small.changed() == {each: each in expected for each in names(small)}


def names(project: Small) -> list[str]:
    return [each.name for each in status(project.folder)]


def test_the_stages_come_after_those_they_depend_on(finished: Small) -> None:
    assert status(finished.folder) == [
        StageStatus("prepare", "unchanged", (), ()),
        StageStatus("train", "unchanged", (), ("prepare",)),
        StageStatus("quantize@gptq", "unchanged", (), ("train",)),
        StageStatus("quantize@awq", "unchanged", (), ("train",)),
        StageStatus("report", "unchanged", (), ("quantize@gptq", "quantize@awq")),
    ]


def test_stages_below_a_change_say_after_which_they_come(small: Small) -> None:
    small.write("finery/clean.py", "")
    small.replace("dvc.yaml", "cp model ${item}", "cp model ./${item}")
    found = {each.name: (each.state, each.reasons) for each in status(small.folder)}
    assert found["train"] == ("downstream", ("after prepare",))
    assert found["quantize@gptq"] == ("changed", ("command changed",))
    assert found["report"] == ("downstream", ("after prepare, quantize@gptq, quantize@awq",))


def test_a_frozen_stage_passes_nothing_on(small: Small) -> None:
    small.replace("dvc.yaml", "outs: [model]", "outs: [model]\n    frozen: true")
    small.write("finery/clean.py", "")
    found = {each.name: each for each in status(small.folder)}
    assert found["prepare"].state == "changed"
    assert found["train"] == StageStatus("train", "unchanged", (), ())
    assert found["report"].state == "unchanged"


def test_nothing_ran_yet(tmp_path: Path) -> None:
    project = make(tmp_path)
    found = status(project.folder)
    assert {each.reasons for each in found} == {("never run",)}
    assert set(project.changed().values()) == {True}


def test_the_reasons_of_one_stage(small: Small) -> None:
    small.replace("params.yaml", "2.0e-4", "1e-4")
    assert reasons("train", small.folder) == (RATE,)
    assert reasons("quantize@awq", small.folder) == ()


def test_a_stage_that_is_not_there(finished: Small) -> None:
    with pytest.raises(ProjectError, match=r"^tran: unknown stage; did you mean train\?$"):
        reasons("tran", finished.folder)


def test_from_a_folder_of_the_project_and_from_elsewhere(
    small: Small, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    small.write("data/raw/two.txt", "2")
    monkeypatch.chdir(tmp_path)
    expected = status(small.folder)
    assert expected[0].reasons == ("data/raw/two.txt changed",)
    assert status(Path("small")) == expected
    monkeypatch.chdir(small.folder / "data")
    assert status() == status(Path("..")) == expected


def test_a_run_settles_everything(small: Small) -> None:
    small.write("data/raw/two.txt", "2")
    small.repro()
    assert {each.state for each in status(small.folder)} == {"unchanged"}


def test_a_file_that_was_added_to_dvc(small: Small) -> None:
    small.git("rm", "--quiet", "--cached", "notes.txt")
    with chdir(small.folder), Repo() as repo:
        repo.add("notes.txt")
    found = {each.name: each for each in status(small.folder)}
    assert found["notes.txt.dvc"] == StageStatus("notes.txt.dvc", "unchanged", (), ())
    assert found["report"].after == ("quantize@gptq", "quantize@awq", "notes.txt.dvc")
    small.write("notes.txt", "other")
    found = {each.name: each.reasons for each in status(small.folder) if each.reasons}
    changed = ("notes.txt changed since it was added",)
    assert found == {"notes.txt.dvc": changed, "report": ("notes.txt changed",)}


def test_a_dvc_yaml_of_a_folder(small: Small) -> None:
    stage = "stages: {last: {cmd: cp ../report last, deps: [../report], outs: [last]}}\n"
    small.write("sub/dvc.yaml", stage)
    last = status(small.folder)[-1]
    assert last == StageStatus("sub/dvc.yaml:last", "changed", ("never run",), ("report",))
    assert reasons("sub/dvc.yaml:last", small.folder) == ("never run",)


def test_a_folder_outside_the_project(small: Small, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/file").write_text("1")
    small.replace("dvc.yaml", "awq, notes.txt]", f"awq, notes.txt, {tmp_path}/outside]")
    small.repro()
    assert reasons("report", small.folder) == ()
    (tmp_path / "outside/file").write_text("2")
    assert reasons("report", small.folder) == (f"{tmp_path}/outside changed",)
