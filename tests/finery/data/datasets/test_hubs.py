"""Datasets on the Hugging Face Hub and on ModelScope, served on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.finery.sources.hub import FIRST, SECOND, Hub

from .elsewhere import Machine, describe, machine, revisions

CARD = b"""---
configs:
- config_name: news
  data_files:
  - {split: train, path: news/*.jsonl}
  - {split: test, path: held-out.jsonl}
- config_name: other
  default: true
  data_files: other.csv
---
"""
FILES = {
    "README.md": CARD,
    "news/b.jsonl": b'{"text": "three"}\n',
    "news/a.jsonl": b'{"text": "one"}\n{"text": "two"}\n',
    "held-out.jsonl": b'{"text": "four"}\n',
    "other.csv": b"text\nfive\n",
    "load.py": b"raise SystemExit('ran')\n",
    "news/big.bin": b"x" * 1000,
}
NEW = FILES | {"news/a.jsonl": b'{"text": "new"}\n'}


@pytest.fixture(scope="module")
def served() -> Iterator[Hub]:
    with Hub(FILES, kind="datasets") as hub:
        yield hub


@pytest.fixture(scope="module")
def client(served: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    with machine(tmp_path_factory.mktemp("machine"), served.url) as made:
        yield made


@pytest.fixture
def hub(served: Hub) -> Hub:
    """The hub as it was at first; the client's cache may be warm."""
    served.files, served.commit, served.status = FILES, FIRST, None
    served.requests.clear()
    return served


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    describe(tmp_path, hf_hub_url="acme/tiny", subset="news")
    return tmp_path


def test_a_split_is_read_at_the_commit_that_was_pinned(
    hub: Hub, client: Machine, folder: Path
) -> None:
    assert client.ask("refresh", folder) == ["d: hf:acme/tiny (new) -> 11111111"]
    assert revisions(folder) == {"hf:acme/tiny": FIRST}
    labels, texts = client.ask("read", folder)
    assert labels == ["hf:acme/tiny/news/a.jsonl", "hf:acme/tiny/news/b.jsonl"]
    assert texts == ["one", "two", "three"]
    assert not any(path.endswith(("big.bin", "load.py")) for _, path, _ in hub.requests)


@pytest.mark.parametrize(
    "entry, texts",
    [
        ({"subset": "news", "split": "test"}, ["four"]),
        ({}, ["five"]),
        ({"folder": "news"}, ["one", "two", "three"]),
    ],
)
def test_subset_split_and_folder(
    hub: Hub, client: Machine, folder: Path, entry: dict, texts: list[str]
) -> None:
    describe(folder, hf_hub_url="acme/tiny", **entry)
    client.ask("refresh", folder)
    assert client.ask("read", folder)[1] == texts


def test_a_second_reading_asks_the_hub_nothing(hub: Hub, client: Machine, folder: Path) -> None:
    client.ask("refresh", folder)
    first = client.ask("read", folder)
    hub.requests.clear()
    assert client.ask("read", folder) == first
    assert client.ask("read", folder, HF_HUB_OFFLINE="1") == first
    assert hub.requests == []


def test_only_a_refresh_goes_to_a_new_commit(hub: Hub, client: Machine, folder: Path) -> None:
    client.ask("refresh", folder)
    before = client.ask("read", folder)
    hub.commit, hub.files = SECOND, NEW
    assert client.ask("read", folder) == before
    assert client.ask("refresh", folder) == ["d: hf:acme/tiny 11111111 -> 22222222"]
    assert client.ask("refresh", folder) == []
    assert client.ask("read", folder)[1] == ["new", "three"]


@pytest.mark.parametrize(
    "entry, problem",
    [
        ({"subset": "nws"}, "hf:acme/tiny: BuilderConfig 'nws' not found. Available: ['news', "),
        ({"subset": "news", "split": "dev"}, "hf:acme/tiny: no split 'dev'; it has train, test"),
        ({"folder": "nowhere"}, "hf:acme/tiny: "),
    ],
)
def test_what_is_not_there(
    hub: Hub, client: Machine, folder: Path, entry: dict, problem: str
) -> None:
    describe(folder, hf_hub_url="acme/tiny", **entry)
    client.ask("refresh", folder)
    said = client.ask("read", folder)
    assert isinstance(said, str) and said.startswith(problem) and "\n" not in said


def test_a_dataset_that_was_never_resolved(client: Machine, folder: Path) -> None:
    assert client.ask("read", folder) == (
        f"{folder}/revisions.json: no revision of hf:acme/tiny; `finery data update` resolves it"
    )
    assert not (folder / "revisions.json").exists()


def test_what_the_hub_refuses(hub: Hub, client: Machine, folder: Path) -> None:
    hub.status, hub.error_code = 403, "GatedRepo"
    assert f"accept its terms at {hub.url}/datasets/acme/tiny and set HF_TOKEN" in (
        client.ask("refresh", folder)
    )
    unreachable = client.ask("refresh", folder, HF_ENDPOINT="http://127.0.0.1:9")
    assert unreachable.startswith("hf:acme/tiny: http://127.0.0.1:9 cannot be reached")
    describe(folder, hf_hub_url="acme/none")
    hub.status = None
    assert client.ask("refresh", folder).startswith("hf:acme/none: not found at")
    assert not (folder / "revisions.json").exists()


def test_modelscope(hub: Hub, client: Machine, folder: Path) -> None:
    describe(folder, ms_hub_url="acme/tiny", subset="news")
    (change,) = client.ask("refresh", folder)
    assert change.startswith("d: modelscope:acme/tiny (new) -> ")
    labels, texts = client.ask("read", folder)
    assert labels == [f"modelscope:acme/tiny/news/{name}.jsonl" for name in "ab"]
    assert texts == ["one", "two", "three"]
    hub.files = NEW
    assert client.ask("read", folder) == (
        f"modelscope:acme/tiny: its files are not those of {folder}/revisions.json; accept the new"
        " ones with `finery data update`"
    )
    assert len(client.ask("refresh", folder)) == 1
    assert client.ask("read", folder)[1] == ["new", "three"]


def test_of_two_hubs_the_one_that_was_pinned_stays(hub: Hub, client: Machine, folder: Path) -> None:
    describe(folder, hf_hub_url="acme/tiny", ms_hub_url="acme/tiny", subset="news")
    (change,) = client.ask("refresh", folder, USE_MODELSCOPE_HUB="1")
    assert change.startswith("d: modelscope:acme/tiny")
    assert client.ask("refresh", folder) == []
    assert client.ask("read", folder)[0][0] == "modelscope:acme/tiny/news/a.jsonl"
