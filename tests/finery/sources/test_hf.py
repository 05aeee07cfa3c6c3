import json
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save

from .client import Client
from .hub import FIRST, SECOND, Hub

SOURCE = "hf:acme/tiny"
WEIGHTS = "model.safetensors"


@pytest.fixture
def client(hub: Hub, tmp_path: Path) -> Client:
    return Client(tmp_path, hub.url)


def test_takes_the_model_and_pins_the_branch(hub: Hub, client: Client) -> None:
    base, record = client.fetch(SOURCE)
    assert {file.name for file in base.iterdir()} == set(hub.files) - {"README.md"}
    assert all(file.read_bytes() == hub.files[file.name] for file in base.iterdir())
    assert (record["source"], record["revision"]) == ("hf:acme/tiny@main", FIRST)
    assert json.loads(client.revisions.read_text()) == {"hf:acme/tiny@main": FIRST}


def test_files_are_hard_links_into_the_cache(client: Client) -> None:
    base, _ = client.fetch(SOURCE)
    blobs = (client.home / "hf" / "hub" / "models--acme--tiny" / "blobs").iterdir()
    assert (base / WEIGHTS).stat().st_ino in {blob.stat().st_ino for blob in blobs}
    assert not any(file.is_symlink() for file in base.iterdir())


def test_a_branch_that_moved_is_not_followed(hub: Hub, client: Client) -> None:
    client.fetch(SOURCE)
    hub.commit, hub.files = SECOND, hub.files | {"config.json": b'{"model_type": "other"}'}
    base, record = client.fetch(SOURCE)
    assert record["revision"] == FIRST
    assert json.loads((base / "config.json").read_text())["model_type"] == "llama"
    assert len(hub.asked("GET", "/revision/main")) == 1


def test_a_second_run_asks_the_hub_nothing(hub: Hub, client: Client) -> None:
    client.fetch(SOURCE)
    hub.requests.clear()
    client.fetch(SOURCE, HF_HUB_OFFLINE="1")
    client.fetch(SOURCE)
    assert hub.requests == []


def test_a_commit_is_taken_as_it_is(hub: Hub, client: Client) -> None:
    _, record = client.fetch(f"{SOURCE}@{FIRST}")
    assert record["revision"] == FIRST
    assert not client.revisions.exists()


def test_an_interrupted_transfer_goes_on_where_it_stopped(hub: Hub, client: Client) -> None:
    chunk = 10_000_000  # what the client writes at a time, and so the least it can go on from
    large = save({"weight": np.arange(3 * chunk // 4, dtype=np.float32)})
    hub.files, hub.cut_once = hub.files | {WEIGHTS: large}, WEIGHTS
    base, _ = client.fetch(SOURCE)
    first, second = hub.asked("GET", WEIGHTS)
    assert first is None
    resumed_at = int(second.removeprefix("bytes=").rstrip("-"))
    assert 0 < resumed_at <= len(large) // 2
    assert (base / WEIGHTS).read_bytes() == large


@pytest.mark.parametrize("name", [WEIGHTS, "config.json"])
def test_a_damaged_file_is_named_and_fetched_again(hub: Hub, client: Client, name: str) -> None:
    hub.damaged = name
    assert f"{name} was damaged on its way" in client.error(SOURCE)
    hub.damaged = None
    base, _ = client.fetch(SOURCE)
    assert (base / name).read_bytes() == hub.files[name]


def test_pickled_weights_are_refused_before_anything_is_fetched(hub: Hub, client: Client) -> None:
    hub.files = {"config.json": b"{}", "pytorch_model.bin": b"pickle"}
    error = client.error(SOURCE)
    assert "pytorch_model.bin" in error and "safetensors" in error
    assert [path for _, path, _ in hub.requests if "/resolve/" in path] == []


@pytest.mark.parametrize(
    ("status", "code", "said"),
    [
        (401, "RepoNotFound", "HF_TOKEN"),
        (401, "GatedRepo", "accept its terms"),
        (403, "", "refuses access (403)"),
        (404, "RepoNotFound", "check the name"),
        (404, "RevisionNotFound", "has no revision main"),
        (500, "", "status 500"),
    ],
)
def test_a_refusal_is_one_line(hub: Hub, client: Client, status: int, code: str, said: str) -> None:
    hub.status, hub.error_code = status, code
    error = client.error(SOURCE)
    assert said in error
    assert hub.url in error


def test_offline_without_a_copy(client: Client) -> None:
    assert "HF_HUB_OFFLINE is set; unset it" in client.error(SOURCE, HF_HUB_OFFLINE="1")


def test_an_unreachable_hub_is_named_and_a_mirror_offered(client: Client) -> None:
    nowhere = "http://127.0.0.1:9"
    error = client.error(SOURCE, HF_ENDPOINT=nowhere)
    assert nowhere in error and "HF_ENDPOINT=https://hf-mirror.com" in error


def test_python_files_stay_away_and_links_survive_the_cache(hub: Hub, client: Client) -> None:
    hub.files = hub.files | {"modeling_tiny.py": b"raise SystemExit", "onnx/config.json": b"{}"}
    base, _ = client.fetch(SOURCE)
    assert not (base / "modeling_tiny.py").exists()
    assert not (base / "onnx").exists()
    assert os.stat(base / WEIGHTS).st_nlink == 2


def test_more_chat_templates_come_along_in_their_folder(hub: Hub, client: Client) -> None:
    more = "additional_chat_templates/rag.jinja"
    hub.files = hub.files | {
        more: b"{{ messages }}",
        "onnx/chat.jinja": b"",
        "more/config.json": b"",
    }
    base, _ = client.fetch(SOURCE)
    assert (base / more).read_bytes() == b"{{ messages }}"
    assert [file.name for file in base.iterdir() if file.is_dir()] == ["additional_chat_templates"]
