"""Outputs appear whole or not at all: written beside their place, then renamed."""

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PARTIAL = ".partial-"


def partial(output: Path) -> Path:
    """Where an output is while it is being written."""
    return output.with_name(PARTIAL + output.name)


@contextmanager
def whole(outputs: Mapping[str, Path]) -> Iterator[dict[str, Path]]:
    """Partial paths to write to; renamed to `outputs` at the end, removed if it is not reached."""
    partials = {key: partial(path) for key, path in outputs.items()}
    remove(partials.values())
    try:
        for path in partials.values():
            path.parent.mkdir(parents=True, exist_ok=True)
        yield partials
        for key, path in outputs.items():
            remove([path])
            partials[key].rename(path)
    finally:
        remove(partials.values())


def remove(paths: Iterable[Path]) -> None:
    """Remove files and folders, and do not mind those that are not there."""
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
