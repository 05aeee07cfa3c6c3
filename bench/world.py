"""A project that is retrained night after night, and all that can go wrong around it."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from finery.releases.registry import champion as in_service
from finery.retraining.record import Run, history

MUST = {
    "bad row": {"bad data"},
    "server down": {"upstream unreachable"},
    "git down": {"upstream unreachable"},
    "full disk": {"disk full"},
    "worse data": {"worse"},
    "kill": {"interrupted", "released", "worse"},
}
PATIENCE = 900.0
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
    `rows` are good ones to add, `at_once` in a night. `sure` says that more of them always make
    a better model; where they may not, it is right to find the outcome worse.
    """

    folder: Path
    project: Path
    served: str
    tracked: str
    rows: list[dict]
    environment: dict[str, str]
    random: random.Random
    at_once: int = 2
    sure: bool = True
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
        new = {"released"} if self.sure else {"released", "worse"}
        must = MUST.get(night.fault, new if self.pending else {"nothing changed"})
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
            [sys.executable, "-m", "flows.retrain_command", "--push"],
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
        taken, self.rows = self.rows[: self.at_once], self.rows[self.at_once :]
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
