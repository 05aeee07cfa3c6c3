"""Night after night: what is new is released if it is no worse; whatever goes wrong, the next
night starts clean, and the reason is on record.
"""

import json
import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from bench.nights import World, environment, report, small_disk

ROOT = Path(__file__).resolve().parents[2]
LOOKUP = Path(__file__).parent / "lookup"
IGNORED = ".finery/\n__pycache__/\n/models/\n/data/prepared\n*.jsonl\n"
NIGHTS = [
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
]
TESTS = [{"instruction": f"Question {n}?", "output": f"Answer {n}."} for n in range(80)]


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
    (source / "tests.json").write_text(json.dumps(TESTS))
    (source / "data/raw").mkdir(parents=True)
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


def test_each_night_ends_as_it_must_and_the_next_starts_clean(world: World) -> None:
    world.build(world.folder / "source")
    for fault in NIGHTS:
        world.night(fault)
    assert report(world) == []


def test_a_full_disk_ends_the_night_and_the_next_one_goes_on(world: World) -> None:
    try:
        with small_disk(world.project.parent, "40m"):
            world.build(world.folder / "source")
            for fault in ("nothing new", "full disk", "full disk", "nothing new"):
                world.night(fault)
            assert report(world) == []
    except PermissionError:
        pytest.skip("a file system of its own takes root")
