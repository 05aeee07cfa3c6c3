"""The datasets of a training: where they are, and some rows of them held out to be asked."""

import filecmp
import json
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from finery.moving.llamafactory.files.given import MovingError, Source

INFO = "dataset_info.json"
COPIED = Path("data/llamafactory")
MOST = 20
"""Rows of a dataset that are held out, or a tenth of it if that is less."""
VARIABLE = re.compile(r"\{\{(\w+)\}\}")
READ = (".json", ".jsonl")
ROLES = {"role_tag": "role", "content_tag": "content", "user_tag": "user",
         "assistant_tag": "assistant", "system_tag": "system"}  # fmt: skip


@dataclass
class Folder:
    """A folder with all datasets that are asked for; `own`: its dataset_info.json has them."""

    path: Path
    entries: dict[str, dict[str, Any]]
    own: bool
    counts: dict[str, int] = field(default_factory=dict)
    """Rows of those that are here, in JSON."""
    variables: list[str] = field(default_factory=list)
    """Words in double braces that they have."""


def look(source: Source, wanted: Sequence[str], chosen: Path | None) -> Folder | None:
    """The first place that has them all: the one that is chosen, or that the file would mean."""
    said = Path(source.path("dataset_dir") or "data").expanduser()
    above = [Path(), source.place, *source.place.resolve().parents]
    places = [chosen] if chosen else [*(folder / said for folder in above), source.place]
    for place in places:
        if place.is_dir() and (found := _all_of(place, wanted)):
            return found
    if chosen:
        missing = [name for name in wanted if name not in _entries(chosen, wanted)]
        raise MovingError(
            f"{chosen}: has no dataset {', '.join(missing)}; name the folder of {INFO}"
        )
    return None


def held_out(
    folder: Folder, learnt: Sequence[str], most: int | None, write: bool
) -> tuple[Path, list[str], bool]:
    """Copy the datasets here, with some rows of each to be asked.

    Questions that are there already stay, and so do entries. Returns the new folder, the datasets
    of questions, and whether the training may have these, too. Raises `MovingError` for a dataset
    that was copied before and is another by now.
    """
    entries, files, asked, shared = dict(folder.entries), {}, [], False
    for name in learnt:
        rows = _rows(folder, name)
        if not _is_asked(entries[name], rows):
            continue
        pool = rows[most:] if most and len(rows) > most else rows
        shared |= pool is rows or (COPIED / f"{name}_test.json").exists()
        count = max(1, min(MOST, len(rows) // 10, len(pool)))
        held = [pool[number * len(pool) // count] for number in range(count)]
        test = f"{name}_test"
        entries[test] = entries[name] | {"file_name": f"{test}.json"}
        files[f"{test}.json"] = json.dumps(held, indent=2, ensure_ascii=False) + "\n"
        asked.append(test)
    named = [entry["file_name"] for entry in folder.entries.values() if entry.get("file_name")]
    for file in named:
        _refuse_another(folder.path / file, COPIED / file)
    if write:
        COPIED.mkdir(parents=True, exist_ok=True)
        for file in named:
            _copy(folder.path / file, COPIED / file)
        for file, text in files.items():
            if not (COPIED / file).exists():
                (COPIED / file).write_text(text, "utf-8")
        whole = json.dumps(entries | _info(COPIED), indent=2, ensure_ascii=False) + "\n"
        (COPIED / INFO).write_text(whole, "utf-8")
    return COPIED, asked, shared


def _all_of(place: Path, wanted: Sequence[str]) -> Folder | None:
    entries = _entries(place, wanted)
    if not wanted or any(name not in entries for name in wanted):
        return None
    info = _info(place)
    tests = [f"{name}_test" for name in wanted if f"{name}_test" in info]
    named = {name: info.get(name) or entries[name] for name in [*wanted, *tests]}
    folder = Folder(place, named, all(name in info for name in wanted))
    for name in wanted:
        if rows := _rows(folder, name):
            folder.counts[name] = len(rows)
    texts = (file.read_text("utf-8", "replace") for file in _files(folder, wanted))
    folder.variables = sorted({word for text in texts for word in VARIABLE.findall(text)})
    return folder


def _info(place: Path) -> dict[str, Any]:
    try:
        return json.loads((place / INFO).read_text("utf-8-sig"))
    except OSError:
        return {}
    except ValueError as error:
        raise MovingError(f"{place / INFO}: not JSON: {error}") from None


def _entries(place: Path, wanted: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Those of dataset_info.json; of a file without one, what its first row looks like."""
    info = _info(place)
    found = {name: info.get(name) or _guessed(place, name) for name in wanted}
    return {name: entry for name, entry in found.items() if entry is not None}


def _guessed(place: Path, name: str) -> dict[str, Any] | None:
    file = next((f for end in (*READ, ".txt") if (f := place / f"{name}{end}").is_file()), None)
    if file is None:
        return None
    entry: dict[str, Any] = {"file_name": file.name}
    if file.suffix == ".txt":
        return entry | {"columns": {"prompt": "text"}}
    row = next((row for row in _json_rows(file) if isinstance(row, dict)), {})
    if "conversations" in row or "messages" in row:
        column = "conversations" if "conversations" in row else "messages"
        entry |= {"formatting": "sharegpt", "columns": {"messages": column}}
        if column == "messages":
            entry["tags"] = ROLES
    elif "instruction" in row:
        other = {"query": "input", "response": "output", "system": "system", "history": "history"}
        entry["columns"] = {"prompt": "instruction"} | {k: c for k, c in other.items() if c in row}
    elif "text" in row:
        entry["columns"] = {"prompt": "text"}
    if "chosen" in row and "rejected" in row:
        entry["ranking"] = True
        entry["columns"] = entry.get("columns", {}) | {"chosen": "chosen", "rejected": "rejected"}
    elif isinstance(row.get("label"), bool):
        entry["columns"] = entry.get("columns", {}) | {"kto_tag": "label"}
    for extra in ("images", "tools"):
        if extra in row and "columns" in entry:
            entry["columns"][extra] = extra
    return entry


def _is_asked(entry: dict[str, Any], rows: Sequence[Any]) -> bool:
    """Whether it is conversations, of which some can be kept."""
    columns = entry.get("columns", {})
    answers = entry.get("formatting", "alpaca") != "alpaca" or "response" in columns or not columns
    return len(rows) > 1 and answers and not entry.get("ranking") and "kto_tag" not in columns


def _rows(folder: Folder, name: str) -> list[Any]:
    """Of a file of JSON; none of others, and none of what cannot be read."""
    file = folder.path / str(folder.entries[name].get("file_name"))
    return _json_rows(file) if file.suffix in READ and file.is_file() else []


def _json_rows(file: Path) -> list[Any]:
    try:
        text = file.read_text("utf-8-sig")
        if file.suffix == ".jsonl" or not text.lstrip().startswith("["):
            return [json.loads(line) for line in text.splitlines() if line.strip()]
        return json.loads(text)
    except (OSError, ValueError):
        return []


def _files(folder: Folder, names: Sequence[str]) -> Iterator[Path]:
    for name in names:
        place = folder.path / str(folder.entries[name].get("file_name") or INFO)
        files = sorted(place.iterdir()) if place.is_dir() else [place]
        yield from (file for file in files if file.suffix in (*READ, ".csv") and file.is_file())


def _refuse_another(place: Path, target: Path) -> None:
    if place.is_file() and target.is_file() and not filecmp.cmp(place, target, shallow=False):
        raise MovingError(f"{target}: is another file than {place} by now; remove or rename it")


def _copy(place: Path, target: Path) -> None:
    """A file or a folder, if it is here and not the same already."""
    if not place.exists() or (target.exists() and target.samefile(place)):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    if place.is_dir():
        shutil.copytree(place, target, dirs_exist_ok=True)
    else:
        shutil.copyfile(place, target)
