import json
from pathlib import Path

import pytest

from .client import Client
from .hub import Hub

SOURCE = "modelscope:acme/tiny"
WEIGHTS = "model.safetensors"


@pytest.fixture
def client(hub: Hub, tmp_path: Path) -> Client:
    return Client(tmp_path, hub.url)


def test_takes_the_model_and_pins_its_content(hub: Hub, client: Client) -> None:
    base, record = client.fetch(SOURCE)
    assert {file.name for file in base.iterdir()} == set(hub.files) - {"README.md"}
    assert all(file.read_bytes() == hub.files[file.name] for file in base.iterdir())
    assert json.loads(client.revisions.read_text()) == {
        "modelscope:acme/tiny@master": record["revision"]
    }


def test_a_revision_that_moved_is_not_followed(hub: Hub, client: Client) -> None:
    client.fetch(SOURCE)
    hub.files = hub.files | {"config.json": b'{"model_type": "other"}'}
    error = client.error(SOURCE)
    assert "not those of the first download" in error and "revisions.json" in error


def test_pickled_weights_are_refused_before_anything_is_fetched(hub: Hub, client: Client) -> None:
    hub.files = {"config.json": b"{}", "pytorch_model.bin": b"pickle"}
    assert "pytorch_model.bin" in client.error(SOURCE)
    assert hub.asked("GET", "/repo") == []


def test_an_unknown_model(hub: Hub, client: Client) -> None:
    assert "check the name" in client.error("modelscope:acme/none")


def test_an_unreachable_hub_is_named(client: Client) -> None:
    nowhere = "http://127.0.0.1:9"
    error = client.error(SOURCE, MODELSCOPE_ENDPOINT=nowhere)
    assert nowhere in error and "set MODELSCOPE_ENDPOINT" in error


def test_more_chat_templates_come_along_in_their_folder(hub: Hub, client: Client) -> None:
    more = "additional_chat_templates/rag.jinja"
    hub.files = hub.files | {more: b"{{ messages }}"}
    base, _ = client.fetch(SOURCE)
    assert (base / more).read_bytes() == b"{{ messages }}"
