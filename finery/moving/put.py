"""Put a params.yaml in place; the one that was there is kept."""

import os
from pathlib import Path


def put(text: str, path: Path) -> Path | None:
    """Write it, whole or not at all. Returns where an old one with other settings was kept.

    It is kept as params.1.yaml, or by the first number that is free.
    """
    old = None
    if path.exists() and path.read_bytes() != text.encode():
        number = next(n for n in range(1, 10_000) if not _numbered(path, n).exists())
        old = _numbered(path, number)
        old.write_bytes(path.read_bytes())
    beside = path.with_name(f".partial-{path.name}")
    beside.write_text(text, "utf-8")
    os.replace(beside, path)
    return old


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.stem}.{number}{path.suffix}")
