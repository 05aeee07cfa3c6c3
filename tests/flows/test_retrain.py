"""Night after night: what is new is released if it is no worse; whatever goes wrong, the next
night starts clean, and the reason is on record.
"""

import json
import os
import random
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from bench.nights import report
from bench.world import World, environment, small_disk
from finery.releases.promote import rollback
from finery.retraining.record import history

ROOT = Path(__file__).resolve().parents[2]
LOOKUP = Path(__file__).parent / "lookup"
IGNORED = ".finery/\n__pycache__/\n/models/\n/data/prepared\n*.jsonl\n"
FEW = ("nothing new", "bad row", "worse data", "nothing new")
MANY = (
    "nothing new",
    "nothing new",
    "new rows on the server",
    "bad row",
    "nothing new",
    "server down",
    "new rows in git",
    "git down",
    "worse data",
    "nothing new",
    "kill",
    "nothing new",
)
DATASETS = {
    "identity": {"file_name": "served.json"},
    "handbook": {"file_name": "tracked.json"},
    "identity_test": {"file_name": "tests.json"},
    "handbook_test": {"file_name": "tests.json"},
}
TESTS = [{"instruction": f"Question {n}?", "output": f"Answer {n}."} for n in range(80)]
SCORED = [row | {"keywords": [row["output"]]} for row in TESTS]


@pytest.fixture
def world(tmp_path: Path, prefect_page: str) -> Iterator[World]:
    """A project whose model looks answers up; it was never retrained."""
    source = tmp_path / "source"
    shutil.copytree(LOOKUP, source)
    shutil.copytree(ROOT / ".dvc", source / ".dvc", ignore=shutil.ignore_patterns("cache", "tmp"))
    params = (ROOT / "params.yaml").read_text()
    params = params.replace(", handbook_test.keyword_match]", "]")
    (source / "params.yaml").write_text(params)
    (source / ".gitignore").write_text(IGNORED)
    (source / "data/raw").mkdir(parents=True)
    (source / "data/raw/dataset_info.json").write_text(json.dumps(DATASETS))
    (source / "data/raw/tests.json").write_text(json.dumps(SCORED))
    (source / "data/raw/served.json").write_text(json.dumps(TESTS[:10]))
    (source / "data/raw/tracked.json").write_text(json.dumps(TESTS[10:20]))
    around = environment(tmp_path, prefect_page) | {"PYTHONPATH": str(ROOT)}
    world = World(
        tmp_path,
        tmp_path / "disk/project",
        "data/raw/served.json",
        "data/raw/tracked.json",
        TESTS[20:],
        around,
        random.Random(1),
    )
    with pytest.MonkeyPatch.context() as patch:
        for key in around.keys() - os.environ.keys():
            patch.setenv(key, around[key])
        yield world


@pytest.mark.parametrize("nights", [FEW, pytest.param(MANY, marks=pytest.mark.slow)], ids=len)
def test_each_night_ends_as_it_must_and_the_next_starts_clean(
    world: World, nights: Sequence[str]
) -> None:
    world.build(world.folder / "source")
    for fault in nights:
        world.night(fault)
    assert report(world) == []


@pytest.mark.slow
def test_a_full_disk_ends_the_night_and_the_next_one_goes_on(world: World) -> None:
    try:
        with small_disk(world.project.parent, "40m"):
            world.build(world.folder / "source")
            for fault in ("nothing new", "full disk", "full disk", "nothing new"):
                world.night(fault)
            assert report(world) == []
    except subprocess.CalledProcessError:
        pytest.skip("a file system of its own takes root")


@pytest.mark.slow
def test_a_model_that_misses_the_gate_is_not_released(world: World) -> None:
    world.build(world.folder / "source")
    world.night("nothing new")
    for row in (*world.good[world.served], *world.good[world.tracked]):
        row["output"] = "No answer."
    world.commit(world.tracked, json.dumps(world.good[world.tracked]))
    night = world.night("nothing new")
    assert night.run.outcome == "failed gate"
    assert night.run.reason == "gate: merged: identity_test.keyword_match is 0.0, below 0.05"
    assert world.champion() == history(world.project)[0].commit


@pytest.mark.slow
def test_what_was_rolled_back_stays_out_of_service(world: World) -> None:
    world.build(world.folder / "source")
    world.night("nothing new")
    world.night("new rows on the server")
    first, second = history(world.project)
    rollback(world.project, "merged", reason="it answers too much")
    night = world.night("nothing new")
    assert night.run.outcome == "nothing changed"
    assert world.champion() == first.commit != second.commit


@pytest.mark.slow
def test_a_release_that_failed_at_the_last_step_is_made_up_for(world: World) -> None:
    world.build(world.folder / "source")
    world.night("nothing new")
    hook = world.project / ".git/hooks/pre-receive"
    hook.write_text("#!/bin/sh\necho no tags tonight >&2\nexit 1\n")
    hook.chmod(0o755)
    night = world.night("new rows on the server")
    assert night.run.outcome == "not delivered"
    assert world.champion() == history(world.project)[0].commit
    hook.unlink()
    trained = (world.project / ".finery/retrain/models/merged/answers.json").stat().st_ino
    night = world.night("nothing new")
    assert (night.run.outcome, night.run.changed) == ("released", [])
    assert (world.project / ".finery/retrain/models/merged/answers.json").stat().st_ino == trained


@pytest.mark.slow
def test_edits_in_the_working_tree_are_left_alone(world: World) -> None:
    world.build(world.folder / "source")
    world.night("nothing new")
    params = world.project / "params.yaml"
    committed = params.read_text()
    params.write_text(committed + "\n# My own.\n")
    night = world.night("new rows on the server")
    assert (night.run.outcome, night.run.landed) == ("released", "retrain/main")
    assert params.read_text() == committed + "\n# My own.\n"
    night = world.night("nothing new")
    assert night.run.outcome == "nothing changed", "the parked result counts"
    params.write_text(committed)
    night = world.night("nothing new")
    assert (night.run.outcome, night.run.landed) == ("nothing changed", "main")
    assert (world.project / "dvc.lock").read_text() == (
        world.project / ".finery/retrain/dvc.lock"
    ).read_text()


@pytest.mark.slow
def test_a_dataset_on_the_web_goes_to_its_newest_revision(world: World) -> None:
    world.build(world.folder / "source")
    feed = {"feed": {"cloud_file_name": f"{world.server.url}/rows.json"}}
    world.commit("data/raw/dataset_info.json", json.dumps(DATASETS | feed))
    params = (world.team / "params.yaml").read_text()
    world.commit("params.yaml", params.replace("data: [identity,", "data: [feed, identity,"))
    night = world.night("nothing new")
    assert night.run.outcome == "released"
    (line,) = [line for line in night.run.changed if line.startswith("feed: ")]
    assert "(new) -> " in line
    assert world.server.url in (world.project / "data/raw/revisions.json").read_text()
    assert world.night("nothing new").run.outcome == "nothing changed"
