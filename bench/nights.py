"""Fifty nights of retraining, and on most of them something goes wrong.

    python bench/nights.py [--nights 50] [--seed 1]

A project trains the tiny model of the tests on a file from an HTTP server and on one in git, and
is retrained night after night by `finery retrain --push`. Its graph is that of dvc.yaml without
the quantized models, which would take most of the time and add no kind of fault. Servers stop,
rows are damaged, answers are garbled, the disk fills up (a small file system of its own) and runs
are killed at random moments. Prints what became of each night; exits 1 if a worse model was
released, a night ended otherwise than it must, or one has no reason on record.
"""

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from bench.world import World, environment, prefect_server, small_disk  # noqa: E402
from finery.retraining.record import history, settle  # noqa: E402

MIX = {
    "new rows on the server": 5,
    "new rows in git": 4,
    "nothing new": 10,
    "bad row": 8,
    "server down": 5,
    "git down": 4,
    "kill": 7,
    "full disk": 4,
    "worse data": 3,
}
"""How many nights of fifty."""


def without_reason(world: World) -> list[str]:
    """The nights of which the record does not say how and why they ended."""
    settle(world.project)  # the last night may have been killed
    runs = history(world.project)
    said = [run.started for run in runs if not (run.outcome and run.reason and run.ended)]
    missing = len(world.nights) - len(runs)
    return said + ["a night that is not on record at all"] * missing


def worse_releases(world: World) -> list[str]:
    """Releases whose losses are higher than those of the one before: a paired t-test at 1 %.

    It shares no code with the comparison that let them pass.
    """
    from scipy.stats import ttest_rel

    tags = world._sh("git", "-C", str(world.project), "tag", "--list", "merged#prod#*").split()
    tags.sort(key=lambda tag: int(tag.rpartition("#")[2]))
    losses = [list(_losses(world.project, tag)) for tag in tags]
    return [
        tag
        for tag, old, new in zip(tags[1:], losses, losses[1:], strict=False)
        if old != new and ttest_rel(new, old, alternative="greater").pvalue < 0.01
    ]


def _losses(project: Path, tag: str) -> Iterator[float]:
    import dvc.api

    path = "reports/samples/merged.jsonl"
    for line in dvc.api.read(path, repo=str(project), rev=f"{tag}^{{commit}}").splitlines():
        yield json.loads(line)["loss"]


def tiny_project(folder: Path) -> list[dict]:
    """The project with the tiny model of the tests, on 24 rows; returns rows to add to them."""
    from tests.conftest import make_tiny_model
    from tests.pipeline.conftest import LEFT_OUT, SETTINGS
    from tests.pipeline.project import Project

    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True
    )
    for name in filter(None, listed.stdout.split("\0")):
        if not name.startswith(LEFT_OUT):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / name, folder / name)
    make_tiny_model(folder / "tiny")
    project = Project(folder, folder)
    settings = SETTINGS | {"release.metrics": ["all.loss"], "quantize.formats": []}
    for key, value in settings.items():
        project.set(key, value)
    more = []
    for name, count in {
        "identity": 12,
        "handbook": 12,
        "identity_test": 20,
        "handbook_test": 20,
    }.items():
        rows = json.loads(project.read(f"data/raw/{name}.json"))
        count = 20 if name.endswith("_test") else 12
        project.write(f"data/raw/{name}.json", json.dumps(rows[:count], indent=1))
        more += [] if name.endswith("_test") else rows[count:]
    return more


def sequence(nights: int, seed: int) -> list[str]:
    """What happens night after night: the first release, then faults in random order."""
    faults = [fault for fault, count in MIX.items() for _ in range(count)]
    random.Random(seed).shuffle(faults)
    return ["nothing new", *(faults * (nights // len(faults) + 1))[: nights - 1]]


def report(world: World) -> list[str]:
    """Print every night; what is wrong with them all together."""
    from rich.console import Console
    from rich.table import Table

    silent = without_reason(world)
    table = Table("night", "what happens", "outcome", "seconds", "reason on record", "wrong")
    runs = {run.id: run for run in history(world.project)}
    for number, night in enumerate(world.nights, start=1):
        run = runs[night.run.id]
        cells = (night.fault, run.outcome or "", f"{night.seconds:.0f}", run.reason, night.wrong)
        table.add_row(str(number), *cells)
    Console(width=200, highlight=False).print(table)
    return [
        *(f"night {n}: {night.wrong}" for n, night in enumerate(world.nights, 1) if night.wrong),
        *(f"{tag}: worse than the release before it" for tag in worse_releases(world)),
        *(f"{run}: no reason on record" for run in silent),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nights", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if os.geteuid():
        os.execvp("unshare", ["unshare", "-rm", sys.executable, *sys.argv])
    with (
        tempfile.TemporaryDirectory(prefix="nights-") as name,
        small_disk(Path(name, "disk"), "4g") as disk,
        prefect_server(Path(name, "prefect")) as page,
    ):
        folder = Path(name)
        (folder / "source").mkdir()
        rows = tiny_project(folder / "source")
        world = World(
            folder,
            disk / "project",
            "data/raw/identity.json",
            "data/raw/handbook.json",
            rows,
            environment(folder, page),
            random.Random(given.seed),
            at_once=6,
            sure=False,
        )
        world.build(folder / "source")
        for number, fault in enumerate(sequence(given.nights, given.seed), start=1):
            night = world.night(fault)
            print(f"{number}: {fault}: {night.run.outcome or 'killed'}", flush=True)
        problems = report(world)
    released = sum(night.run.outcome == "released" for night in world.nights)
    print(f"{len(world.nights)} nights, {released} releases, {len(problems)} problems")
    sys.exit("\n".join(problems) or 0)


if __name__ == "__main__":
    main()
