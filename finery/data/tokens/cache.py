"""Which work can be taken as done: its key is a hash of all that it depends on."""

import hashlib
import json
import shutil
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

CODE = Path(__file__).parents[1]
"""All of finery/data: what a row says and how it is rendered decide its tokens, too."""
LIBRARIES = ("tokenizers", "transformers", "fastokens", "jinja2", "pyarrow", "numpy")


def key(**parts: Any) -> str:
    """A name for work that depends on `parts` (JSON values), and on the code that does it."""
    parts["code"] = [_sha256(file) for file in sorted(CODE.rglob("*.py"))]
    parts["libraries"] = {name: _version(name) for name in LIBRARIES}
    text = json.dumps(parts, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


def contents(files: Iterable[Path]) -> list[list[str]]:
    """The files with the SHA-256 of what is in them."""
    return [[str(file), _sha256(file)] for file in files]


def prune(cache: Path, used: Iterable[str]) -> None:
    """Remove all from the cache but what was used just now."""
    for folder in cache.iterdir():
        if folder.name not in used:
            shutil.rmtree(folder)


def _sha256(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
