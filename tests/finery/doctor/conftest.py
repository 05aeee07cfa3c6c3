"""A project to examine, on a machine whose troubles the tests arrange."""

import json
import os
import shutil
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from finery.doctor import network
from finery.params.schema import Params, load

ROOT = Path(__file__).resolve().parents[3]
UNSET = (
    "http_proxy", "https_proxy", "all_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY",
    "NO_PROXY", "HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_TOKEN", "PREFECT_API_URL", "PREFECT_PROFILE",
    "CUDA_VISIBLE_DEVICES", "NCCL_P2P_DISABLE", "NCCL_IB_DISABLE",
)  # fmt: skip
DVC = (".dvc/config", ".dvc/.gitignore")
SETTINGS = {"model.source": "path:tiny", "model.sha256": None}


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with a model folder, committed; the present folder, and a home of its own."""
    folder, home = tmp_path / "project", tmp_path / "home"
    home.mkdir()
    for name in UNSET:
        monkeypatch.delenv(name, raising=False)
    for name in ("HOME", "PREFECT_HOME", "DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("PATH", first_on_path(Path(sys.executable).parent))
    monkeypatch.setenv("DVC_SITE_CACHE_DIR", str(home / "site"))
    (folder / ".dvc").mkdir(parents=True)
    for name in ("params.yaml", "dvc.yaml", *DVC):
        shutil.copyfile(ROOT / name, folder / name)
    shutil.copytree(ROOT / "templates", folder / "templates")
    (folder / "pyproject.toml").write_text('[project]\ndependencies = ["pydantic>=2"]\n')
    (folder / "constraints.txt").write_text(f"pydantic=={version('pydantic')}\n")
    monkeypatch.chdir(folder)
    a_model(folder / "tiny", {"model.layers.0.mlp.weight": [64, 128]})
    change(SETTINGS)
    git("init", "--quiet")
    git("config", "user.name", "Tester")
    git("config", "user.email", "tester@example.org")
    git("add", ".")
    git("commit", "--quiet", "-m", "Tiny")
    return folder


@pytest.fixture
def served() -> Iterator[Callable[[int], str]]:
    """Starts web servers on loopback, each with its one answer; gives their addresses."""
    servers = []

    def start(status: int) -> str:
        class Answer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def silent(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    import socket

    monkeypatch.setattr(network, "SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def change(settings: dict[str, object]) -> Params:
    """Set keys such as `train.sft.tuner.rank` in params.yaml of the present folder."""
    yaml, file = YAML(), Path("params.yaml")
    params = yaml.load(file)
    for key, value in settings.items():
        *parents, last = key.split(".")
        section = params
        for parent in parents:
            section = section[parent]
        section[last] = value
    yaml.dump(params, file)
    return load(file)


def a_model(folder: Path, shapes: dict[str, list[int]], **config: int) -> None:
    """A safetensors file with the header of a model of any size, and none of its weights."""
    header, end = {}, 0
    for name, shape in shapes.items():
        start, end = end, end + 2 * shape[0] * shape[1]
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [start, end]}
    folder.mkdir(parents=True)
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    (folder / "config.json").write_text(json.dumps(config))


def nvidia_smi(folder: Path, driver: str, cuda: str, *cards: str) -> None:
    """An nvidia-smi that prints what the real one prints, in a folder of its own on PATH."""
    rows = "\n".join(f"{card}, {driver}" for card in cards)
    head = f"| NVIDIA-SMI {driver}    Driver Version: {driver}    CUDA Version: {cuda}     |"
    executable(
        folder / "nvidia-smi",
        f"case \"$1\" in --query-gpu=*) echo '{rows}';; *) echo '{head}';; esac",
    )


def executable(file: Path, script: str) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(f"#!/bin/sh\n{script}\n")
    file.chmod(0o755)


def first_on_path(folder: Path) -> str:
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def git(*arguments: str) -> None:
    subprocess.run(["git", *arguments], check=True)
