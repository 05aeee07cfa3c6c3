"""Datasets on the Hugging Face Hub and on ModelScope, served on loopback."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.finery.sources.hub import FIRST, SECOND, Hub

from .elsewhere import Reader

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


@pytest.fixture
def hub() -> Iterator[Hub]:
    with Hub(dict(FILES), kind="datasets") as served:
        yield served


@pytest.fixture
def reader(hub: Hub, tmp_path: Path) -> Reader:
    reader = Reader(tmp_path, hub.url)
    reader.describe(hf_hub_url="acme/tiny", subset="news")
    return reader


def test_a_split_is_read_at_the_commit_that_was_pinned(hub: Hub, reader: Reader) -> None:
    assert reader.refresh() == ["d: hf:acme/tiny (new) -> 11111111"]
    assert reader.revisions == {"hf:acme/tiny": FIRST}
    labels, texts = reader.read()
    assert labels == ["hf:acme/tiny/news/a.jsonl", "hf:acme/tiny/news/b.jsonl"]
    assert texts == ["one", "two", "three"]
    assert not any(
        path.endswith(("big.bin", "other.csv", "load.py")) for _, path, _ in hub.requests
    )


@pytest.mark.parametrize(
    "entry, texts",
    [
        ({"subset": "news", "split": "test"}, ["four"]),
        ({}, ["five"]),
        ({"folder": "news"}, ["one", "two", "three"]),
    ],
)
def test_subset_split_and_folder(reader: Reader, entry: dict, texts: list[str]) -> None:
    reader.describe(hf_hub_url="acme/tiny", **entry)
    reader.refresh()
    assert reader.read()[1] == texts


def test_a_second_reading_asks_the_hub_nothing(hub: Hub, reader: Reader) -> None:
    reader.refresh()
    first = reader.read()
    hub.requests.clear()
    assert reader.read() == first == reader.read(HF_HUB_OFFLINE="1")
    assert hub.requests == []


def test_only_a_refresh_goes_to_a_new_commit(hub: Hub, reader: Reader) -> None:
    reader.refresh()
    before = reader.read()
    hub.commit, hub.files = SECOND, hub.files | {"news/a.jsonl": b'{"text": "new"}\n'}
    assert reader.read() == before
    assert reader.refresh() == ["d: hf:acme/tiny 11111111 -> 22222222"]
    assert reader.refresh() == []
    assert reader.read()[1] == ["new", "three"]


@pytest.mark.parametrize(
    "entry, problem",
    [
        ({"subset": "nws"}, "hf:acme/tiny: BuilderConfig 'nws' not found. Available: ['news', "),
        ({"subset": "news", "split": "dev"}, "hf:acme/tiny: no split 'dev'; it has train, test"),
        ({"folder": "nowhere"}, "hf:acme/tiny: "),
    ],
)
def test_what_is_not_there(reader: Reader, entry: dict, problem: str) -> None:
    reader.describe(hf_hub_url="acme/tiny", **entry)
    reader.refresh()
    assert reader.error().startswith(problem)


def test_a_dataset_that_was_never_resolved(reader: Reader) -> None:
    assert reader.error() == (
        f"{reader.folder}/revisions.json: no revision of hf:acme/tiny; `finery data update`"
        " resolves it"
    )
    assert not (reader.folder / "revisions.json").exists()


def test_what_the_hub_refuses(hub: Hub, reader: Reader) -> None:
    hub.status, hub.error_code = 403, "GatedRepo"
    assert f"accept its terms at {hub.url}/datasets/acme/tiny and set HF_TOKEN" in (
        reader.error("refresh")
    )
    assert "cannot be reached" in reader.error("refresh", HF_ENDPOINT="http://127.0.0.1:9")
    reader.describe(hf_hub_url="acme/none")
    hub.status = None
    assert "hf:acme/none: not found at" in reader.error("refresh")


def test_modelscope(hub: Hub, reader: Reader) -> None:
    reader.describe(ms_hub_url="acme/tiny", subset="news")
    (change,) = reader.refresh()
    assert change.startswith("d: modelscope:acme/tiny (new) -> ")
    labels, texts = reader.read()
    assert labels == [f"modelscope:acme/tiny/news/{name}.jsonl" for name in "ab"]
    assert texts == ["one", "two", "three"]
    hub.files = hub.files | {"news/a.jsonl": b'{"text": "new"}\n'}
    assert reader.error() == (
        f"modelscope:acme/tiny: its files are not those of {reader.folder}/revisions.json; accept"
        " the new ones with `finery data update`"
    )
    assert len(reader.refresh()) == 1
    assert reader.read()[1] == ["new", "three"]


def test_of_two_hubs_the_one_that_was_pinned_stays(reader: Reader) -> None:
    reader.describe(hf_hub_url="acme/tiny", ms_hub_url="acme/tiny", subset="news")
    (change,) = reader.refresh(USE_MODELSCOPE_HUB="1")
    assert change.startswith("d: modelscope:acme/tiny")
    assert reader.refresh() == []
    assert reader.read()[0][0] == "modelscope:acme/tiny/news/a.jsonl"
