"""The metrics and pictures that the stages of dvc.yaml have left."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any


def metrics_files(root: Path) -> list[Path]:
    """The metrics files there are, relative to `root`, in the order of dvc.yaml."""
    return [path for path, out in _outs(root) if out.metric and path.suffix == ".json"]


def plot_images(root: Path) -> list[Path]:
    """The plots there are that are pictures."""
    return [path for path, out in _outs(root) if out.plot and path.suffix == ".png"]


def _outs(root: Path) -> Iterator[tuple[Path, Any]]:
    from dvc.repo import Repo

    with Repo(str(root)) as repo:
        for out in repo.index.outs:
            path = Path(out.fs_path).relative_to(repo.root_dir)
            if (root / path).is_file():
                yield path, out
