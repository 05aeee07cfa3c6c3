"""DVC's project: that its files can be read, and that its remote can be used."""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from finery.doctor.finding import Finding, note, ok, problem
from finery.doctor.network import connects, status, without_password

PLUGINS = {
    "s3": "s3", "gs": "gs", "azure": "azure", "ssh": "ssh", "webdav": "webdav",
    "webdavs": "webdav", "hdfs": "hdfs", "webhdfs": "webhdfs", "oss": "oss", "gdrive": "gdrive",
}  # fmt: skip
"""The plugin of DVC that each kind of remote needs."""
AMAZON = "https://s3.amazonaws.com"


def graph() -> Iterator[Finding]:
    """Open the project as DVC does: its settings, dvc.yaml and dvc.lock."""
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo(".") as repo:
            stages = len(repo.index.stages)
            _ = repo.index.graph
    except DvcException as error:
        said = [line for line in f"{error}. {error.__cause__ or ''}".splitlines() if line.strip()]
        yield problem("DVC", f"the project cannot be read: {said[0]}", _mend(str(error)))
    else:
        yield ok("DVC", f"{stages} stages in dvc.yaml")


def remote() -> Iterator[Finding]:
    """Runs need no remote; sharing artefacts, retraining and releases do."""
    settings = config()
    remotes, name = settings.get("remote", {}), settings.get("core", {}).get("remote")
    if name is None:
        advice = "to share artefacts: dvc remote add --default storage FOLDER-OR-URL"
        what = f"no default among {', '.join(remotes)}" if remotes else "none: artefacts stay here"
        yield note("DVC remote", what, advice)
    elif name not in remotes:
        advice = f"dvc remote add {name} FOLDER-OR-URL"
        yield note("DVC remote", f"core.remote is {name}, and there is no such remote", advice)
    else:
        yield _reachable(name, remotes[name])


def config() -> dict[str, Any]:
    """DVC's settings of this project, over the user's and the system's. {} if damaged."""
    from dvc.config import Config, ConfigError

    try:
        return dict(Config(os.path.abspath(".dvc")))
    except ConfigError:  # the graph's check says so
        return {}


def cache_folder() -> Path:
    """Where DVC keeps artefacts."""
    return Path(config().get("cache", {}).get("dir") or ".dvc/cache").absolute()


def _reachable(name: str, settings: dict[str, Any]) -> Finding:
    parts = urlsplit(settings["url"])
    shown = f"{name}, {without_password(settings['url'])}"
    if parts.scheme in ("", "local", "file"):
        return _folder(shown, Path(parts.path))
    plugin = PLUGINS.get(parts.scheme)
    if plugin and not find_spec(f"dvc_{plugin}"):
        return note("DVC remote", f"{shown}: needs DVC's plugin", f"pip install 'dvc[{plugin}]'")
    trouble = _trouble(settings)
    if trouble is None:
        return ok("DVC remote", f"{shown} answers")
    advice = "check the network, and the remote with `dvc remote list`"
    return note("DVC remote", f"{shown} cannot be reached ({trouble})", advice)


def _trouble(settings: dict[str, Any]) -> str | None:
    parts = urlsplit(settings["url"])
    if parts.scheme == "ssh":
        return connects(parts.hostname or "", settings.get("port") or parts.port or 22)
    if parts.scheme == "s3":
        answer = status(settings.get("endpointurl") or AMAZON)
    elif parts.scheme in ("http", "https"):
        answer = status(settings["url"])
    else:
        return None  # its address is the plugin's knowledge
    return answer if isinstance(answer, str) else None


def _folder(shown: str, folder: Path) -> Finding:
    if not folder.is_dir():
        advice = f"mount its disk, or make it: mkdir -p {folder}"
        return note("DVC remote", f"{shown}: no such folder", advice)
    if not os.access(folder, os.W_OK):
        advice = "ask its owner for write access; `dvc pull` works without"
        return note("DVC remote", f"{shown}: not writable", advice)
    return ok("DVC remote", shown)


def _mend(said: str) -> str:
    if "not a git repository" in said:
        return "git init && git add . && git commit"
    if "dvc.lock" in said:
        return "resolve a merge conflict in dvc.lock, or `git checkout dvc.lock`; then `dvc repro`"
    if "not inside of a DVC repository" in said:
        return "dvc init"
    return "`dvc status` says it in full; correct that file, or `git checkout` it"
