"""A project whose stages may run on any machine: in git, with an S3 remote, and a Ray cluster."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import s3fs
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
KEY, SECRET = "worker", "worker-secret"
STAGES = """\
stages:
  prepare:
    cmd: "{prepare}"
    deps: [data]
    outs: [prepared]
  train:
    cmd: "{train}"
    deps: [prepared]
    outs: [adapter]
    metrics:
      - reports/train.json: {{cache: false}}
  merge:
    cmd: "{merge}"
    deps: [prepared]
    outs: [merged]
  gate:
    cmd: "{gate}"
    deps: [adapter, merged]
    metrics:
      - reports/gate.json: {{cache: false}}
"""
COMMANDS = {
    "prepare": "mkdir prepared && cat data/* data/* > prepared/rows",
    "train": "cp prepared/rows adapter && echo 1 > reports/train.json",
    "merge": "cp prepared/rows merged",
    "gate": "cat adapter merged | wc -c > reports/gate.json",
}


def project(folder: Path, remote: str, endpoint: str, **commands: str) -> Path:
    """Four stages, one above two above one; each first writes its place and its GPUs to `seen`."""
    (folder / "data").mkdir(parents=True)
    (folder / "data/rows").write_text("a row\n" * 1000)
    seen = folder.parent / "seen"
    seen.mkdir(exist_ok=True)
    note = f"mkdir -p reports && echo $PWD:$CUDA_VISIBLE_DEVICES >> {seen}"
    told = {name: f"{note}/{name} && {command}" for name, command in (COMMANDS | commands).items()}
    (folder / "dvc.yaml").write_text(STAGES.format(**told))
    shutil.copy(ROOT / "params.yaml", folder)
    run(folder, "git", "init", "--quiet")
    run(folder, sys.executable, "-m", "dvc", "init", "--quiet")
    remote_settings(folder, remote, endpoint)
    (folder / ".gitignore").write_text(".finery/\nprepared\nadapter\nmerged\n")
    commit(folder)
    return folder


def remote_settings(folder: Path, url: str, endpoint: str) -> None:
    """The remote in .dvc/config, as everybody has it; its keys in .dvc/config.local."""
    dvc = [sys.executable, "-m", "dvc", "remote"]
    run(folder, *dvc, "add", "--quiet", "--default", "store", url)
    run(folder, *dvc, "modify", "store", "endpointurl", endpoint)
    run(folder, *dvc, "modify", "--local", "store", "access_key_id", KEY)
    run(folder, *dvc, "modify", "--local", "store", "secret_access_key", SECRET)


def commit(folder: Path) -> None:
    run(folder, "git", "add", "--all")
    author = ["-c", "user.name=A Test", "-c", "user.email=test@localhost"]
    run(folder, "git", *author, "commit", "--quiet", "--message", "as it is")


def run(folder: Path, *command: str) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def places(folder: Path) -> dict[str, list[str]]:
    """By stage, where it ran each time, and with which GPUs."""
    files = sorted((folder.parent / "seen").iterdir())
    return {file.name: file.read_text().splitlines() for file in files}


def locked(folder: Path) -> dict[str, Any]:
    return YAML(typ="safe").load(folder / "dvc.lock")["stages"]


@contextmanager
def s3_server(folder: Path) -> Iterator[str]:
    """The URL of an S3 server on loopback that keeps its objects in a folder."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    options = ["--host", "127.0.0.1", "--port", str(port), "--data-dir", str(folder)]
    process = subprocess.Popen(
        [sys.executable, "-m", "nanio", "serve", *options, "--log-level", "error"],
        env=os.environ | {"NANIO_ACCESS_KEY": KEY, "NANIO_SECRET_KEY": SECRET},
    )
    try:
        while not _listens(port):
            assert process.poll() is None, "the S3 server ended"
        yield url
    finally:
        process.terminate()
        process.wait(timeout=30)


def bucket(endpoint: str, name: str) -> str:
    """Make a bucket; its URL."""
    s3fs.S3FileSystem(key=KEY, secret=SECRET, endpoint_url=endpoint).mkdir(name)
    return f"s3://{name}"


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5):
            return True
    except OSError:
        return False


@contextmanager
def ray_cluster(folder: Path, nodes: int = 2) -> Iterator[str]:
    """The address of a Ray cluster of nodes with a GPU each, by their word, and a work folder."""
    from ray.cluster_utils import Cluster

    size = {"num_cpus": 1, "num_gpus": 1, "object_store_memory": 80 * 1024**2}
    cluster = Cluster()
    try:
        for number in range(nodes):
            work = {"FINERY_WORK": str(folder / f"node{number}")}
            cluster.add_node(**size, include_dashboard=False, env_vars=work)
        yield cluster.address
    finally:
        cluster.shutdown()
