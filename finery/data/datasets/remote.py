"""Datasets that are elsewhere, each at the revision that revisions.json remembers.

That file stands beside dataset_info.json, in the folder that the prepare stage depends on, and
belongs in git: a stage reads it and never writes it, so that the same commit prepares the same
data everywhere, and a new revision makes DVC prepare anew.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from finery.data.datasets import cloud, hf_hub, modelscope_hub
from finery.data.datasets.dataset_info import find
from finery.data.datasets.entries import Entry
from finery.data.errors import DataError
from finery.hubs.revisions import pin, pinned

REVISIONS = "revisions.json"
SOURCES: dict[str, Any] = {"hf": hf_hub, "modelscope": modelscope_hub, "cloud": cloud}


def remote_files(dataset_dir: Path, entry: Entry) -> dict[str, Path]:
    """The files of a dataset that is elsewhere, by what to call them, in their order.

    Raises `DataError` if its revision was never resolved, or its files cannot be had.
    """
    revisions = dataset_dir / REVISIONS
    for source, place in _sources(entry).items():
        if revision := pinned(_key(source, place), revisions):
            return SOURCES[source].files(place, revision, entry, revisions)
    keys = " or ".join(_key(*each) for each in _sources(entry).items())
    raise DataError(f"{revisions}: no revision of {keys}; `finery data update` resolves it")


def refresh(dataset_dir: Path, names: Iterable[str]) -> list[str]:
    """Go to the newest revision of each of these datasets that is elsewhere.

    Returns what changed, a line each, such as "news: hf:acme/news 1f3c58a1 -> 9b2d04e7"; nothing
    is written if nothing changed. Raises `DataError` if a hub does not answer.
    """
    changes, found = [], {}
    revisions = dataset_dir / REVISIONS
    for name in names:
        entry = find(dataset_dir, name)
        if not entry.remote:
            continue
        source, place = _chosen(_sources(entry), revisions)
        key = _key(source, place)
        before, now = pinned(key, revisions), SOURCES[source].newest(place, revisions)
        if now != before and key not in found:
            found[key] = now
            changes.append(f"{name}: {key} {_short(before)} -> {_short(now)}")
    for key, now in found.items():
        pin(key, now, revisions)
    return changes


def _sources(entry: Entry) -> dict[str, str]:
    """Where a dataset can be had, the first choice first; as for LLaMA-Factory, a hub is."""
    hubs = {"hf": entry.hf_hub_url, "modelscope": entry.ms_hub_url}
    if os.environ.get("USE_MODELSCOPE_HUB", "").lower() in ("1", "true"):
        hubs = dict(reversed(hubs.items()))
    places = {source: place for source, place in hubs.items() if place}
    return places or {"cloud": entry.cloud_file_name or ""}


def _chosen(sources: dict[str, str], revisions: Path) -> tuple[str, str]:
    """The hub that the dataset came from before, or else the first choice."""
    known = [each for each in sources.items() if pinned(_key(*each), revisions)]
    return known[0] if known else next(iter(sources.items()))


def _key(source: str, place: str) -> str:
    return place if source == "cloud" else f"{source}:{place}"


def _short(revision: str | None) -> str:
    return revision.removeprefix("sha256:")[:8] if revision else "(new)"
