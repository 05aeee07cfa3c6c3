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
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from finery.releases.registry import champion as in_service  # noqa: E402
from finery.retraining.record import Run, history  # noqa: E402

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
MUST = {
    "bad row": {"bad data"},
    "server down": {"upstream unreachable"},
    "git down": {"upstream unreachable"},
    "full disk": {"disk full"},
    "worse data": {"worse"},
    "kill": {"interrupted", "released"},
}
PATIENCE = 900.0
ROWS_A_NIGHT = 2
FILLER = "filler"


class Server:
    """Serves a folder on loopback; can be stopped and started again on its port."""

    def __init__(self, folder: Path) -> None:
        self._handler = partial(_Silent, directory=str(folder))
        self._port = 0
        self.start()

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), self._handler)
        self._port = self._server.server_address[1]
        Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"


class _Silent(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@dataclass
class Night:
    fault: str
    run: Run
    seconds: float
    wrong: str = ""


@dataclass
class World:
    """A project, the git repository and the server that its data comes from, and its DVC remote.

    `project` lies on a file system of its own. `served` and `tracked` are its two files of rows;
    `rows` are good ones to add.
    """

    folder: Path
    project: Path
    served: str
    tracked: str
    rows: list[dict]
    environment: dict[str, str]
    random: random.Random
    good: dict[str, list[dict]] = field(default_factory=dict)
    nights: list[Night] = field(default_factory=list)
    pending: bool = True
    seconds: float = 60.0
    needs: int = 0

    def build(self, source: Path) -> None:
        """Set it all up from a folder with the project's files."""
        self.team, self.origin = self.folder / "team", self.folder / "origin.git"
        shutil.copytree(source, self.team)
        self.good = {
            name: json.loads((source / name).read_text()) for name in (self.served, self.tracked)
        }
        (self.folder / "feed").mkdir()
        self._publish(self.good[self.served])
        self.server = Server(self.folder / "feed")
        self._sh("git", "init", "--quiet", "--initial-branch=main")
        self._sh("git", "config", "user.name", "Team")
        self._sh("git", "config", "user.email", "team@example.org")
        (self.team / self.served).unlink()
        self._dvc("import-url", f"{self.server.url}/rows.json", self.served)
        self._dvc("remote", "add", "--default", "storage", str(self.folder / "storage"))
        self._sh("git", "add", ".")
        self._sh("git", "commit", "--quiet", "-m", "The project")
        self._sh("git", "clone", "--quiet", "--bare", ".", str(self.origin))
        self._sh("git", "remote", "add", "origin", str(self.origin))
        self._sh("git", "push", "--quiet", "--set-upstream", "origin", "main")
        self._sh("git", "clone", "--quiet", str(self.origin), str(self.project))
        for key, value in (("user.name", "Night"), ("user.email", "night@example.org")):
            self._sh("git", "-C", str(self.project), "config", key, value)

    def night(self, fault: str) -> Night:
        """One night: prepare the fault, retrain, clear up, and look at what became of it."""
        before, start = self.champion(), time.monotonic()
        with self._fault(fault) as kill_after:
            self._retrain(kill_after)
        night = Night(fault, history(self.project)[-1], time.monotonic() - start)
        self._judge(night, before)
        self.nights.append(night)
        return night

    def _judge(self, night: Night, before: str | None) -> None:
        outcome = night.run.outcome or "interrupted"
        usual = {"released"} if self.pending else {"nothing changed"}
        must = MUST.get(night.fault, usual)
        changed = self.champion() != before
        if outcome not in must:
            night.wrong = f"{outcome}, not {' or '.join(sorted(must))}"
        elif changed and outcome not in ("released", "interrupted"):
            night.wrong = "another model is in service"
        if changed:
            self.pending = False

    @contextmanager
    def _fault(self, fault: str) -> Iterator[float | None]:
        """What is special about a night, for as long as it lasts; seconds until a kill, if any."""
        rows = self.good[self.served]
        if fault in ("new rows on the server", "kill", "full disk"):
            rows += self._more()
        if fault == "new rows in git":
            self.good[self.tracked] += self._more()
            self.commit(self.tracked, json.dumps(self.good[self.tracked], indent=1))
        self.pending |= fault.startswith("new rows") or fault in ("kill", "full disk")
        tonight = rows
        if fault == "bad row":
            tonight = [*rows, {"instruction": "An answer is missing."}]
        if fault == "worse data":
            tonight = [row | {"output": self._garbled(row["output"])} for row in rows]
        self._publish(tonight)
        with self._down(fault), self._full(fault == "full disk"):
            yield self.random.uniform(1, self.seconds) if fault == "kill" else None
        self._publish(rows)

    @contextmanager
    def _down(self, fault: str) -> Iterator[None]:
        away = self.origin.with_name("away")
        if fault == "server down":
            self.server.stop()
        if fault == "git down":
            self.origin.rename(away)
        yield
        if fault == "server down":
            self.server.start()
        if fault == "git down":
            away.rename(self.origin)

    @contextmanager
    def _full(self, full: bool) -> Iterator[None]:
        """Leave less on the disk than a retraining needs."""
        filler = self.project.parent / FILLER
        if full:
            leave = self.random.uniform(0, 0.3) * self.needs
            filler.write_bytes(bytes(max(0, int(shutil.disk_usage(self.project).free - leave))))
        yield
        filler.unlink(missing_ok=True)

    def _retrain(self, kill_after: float | None) -> None:
        free, start = shutil.disk_usage(self.project).free, time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "flows.retrain", "--push"],
            cwd=self.project,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            stderr=(self.folder / "log").open("ab"),
            start_new_session=True,
        )
        if kill_after is not None:
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=kill_after)
            process.send_signal(self.random.choice([signal.SIGKILL, signal.SIGTERM, signal.SIGINT]))
        process.wait(timeout=PATIENCE)
        if history(self.project)[-1].outcome == "released":
            self.seconds = time.monotonic() - start
            self.needs = max(self.needs, free - shutil.disk_usage(self.project).free)

    def _more(self) -> list[dict]:
        taken, self.rows = self.rows[:ROWS_A_NIGHT], self.rows[ROWS_A_NIGHT:]
        return taken

    def commit(self, name: str, text: str) -> None:
        """Change a file of the project as somebody of its team does."""
        self._sh("git", "pull", "--quiet", "--rebase")
        (self.team / name).write_text(text)
        self._sh("git", "commit", "--quiet", "--all", "-m", f"Change {name}")
        self._sh("git", "push", "--quiet")

    def _publish(self, rows: Sequence[dict]) -> None:
        file, text = self.folder / "feed/rows.json", json.dumps(rows, indent=1)
        if not file.exists() or file.read_text() != text:
            file.write_text(text)

    def _garbled(self, text: str) -> str:
        return "".join(self.random.sample(text, len(text)))

    def champion(self) -> str | None:
        tags = self._sh("git", "-C", str(self.project), "tag").split()
        if not any("#prod#" in tag for tag in tags):
            return None
        found = in_service(self.project, "merged")
        return found.commit if found else None

    def _dvc(self, *arguments: str) -> None:
        self._sh(sys.executable, "-m", "dvc", "--quiet", *arguments)

    def _sh(self, *command: str) -> str:
        done = subprocess.run(
            command, cwd=self.team, env=self.environment, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout


def without_reason(world: World) -> list[str]:
    """The nights of which the record does not say how and why they ended."""
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

    path = "reports/evaluate/merged/samples.jsonl"
    for line in dvc.api.read(path, repo=str(project), rev=f"{tag}^{{commit}}").splitlines():
        yield json.loads(line)["loss"]


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of its own, which can be filled up. Needs root, or `unshare -rm` around it."""
    folder.mkdir()
    subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "nights", str(folder)], check=True
    )
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def prefect_server(home: Path) -> Iterator[str]:
    """A Prefect server of the simulation's own; its page."""
    os.environ["PREFECT_HOME"] = str(home)
    os.environ.pop("PREFECT_API_URL", None)
    from flows import server

    server.PORT = server._any_free_port()
    with server.server() as page:
        yield page


def environment(folder: Path, page: str) -> dict[str, str]:
    """This process's, with DVC's and git's settings of the simulation's own."""
    names = ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR")
    return (
        os.environ
        | dict.fromkeys(names, str(folder / "dvc"))
        | {
            "DVC_NO_ANALYTICS": "1",
            "GIT_CONFIG_GLOBAL": os.devnull,
            "NO_PROXY": "127.0.0.1",
            "no_proxy": "127.0.0.1",
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "PREFECT_API_URL": f"{page}/api",
            "PREFECT_LOGGING_LEVEL": "WARNING",
        }
    )


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
    leave_out_quantized(folder / "dvc.yaml")
    make_tiny_model(folder / "tiny")
    project = Project(folder, folder)
    for key, value in (SETTINGS | {"release.metrics": ["all.loss"]}).items():
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


def leave_out_quantized(file: Path) -> None:
    """Take the quantized models out of the graph; the gate reads the merged one's metrics twice."""
    from ruamel.yaml import YAML

    yaml = YAML()
    graph = yaml.load(file)
    stages = graph["stages"]
    del stages["quantize"]
    stages["evaluate"]["foreach"] = ["base", "merged"]
    stages["package"]["foreach"] = ["merged"]
    for name in ("gptq", "awq"):
        metrics = f"reports/evaluate/{name}/metrics.json"
        stages["gate"]["deps"].remove(metrics)
        stages["gate"]["cmd"] = stages["gate"]["cmd"].replace(
            metrics, "reports/evaluate/merged/metrics.json"
        )
        del graph["artifacts"][name]
    yaml.dump(graph, file)


def sequence(nights: int, seed: int) -> list[str]:
    """What happens night after night: the first release, then faults in random order."""
    faults = [fault for fault, count in MIX.items() for _ in range(count)]
    random.Random(seed).shuffle(faults)
    return ["nothing new", *(faults * (nights // len(faults) + 1))[: nights - 1]]


def report(world: World) -> list[str]:
    """Print every night; what is wrong with them all together."""
    from rich.console import Console
    from rich.table import Table

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
        *(f"{run}: no reason on record" for run in without_reason(world)),
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
