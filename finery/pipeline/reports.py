"""The metrics and pictures that the stages of dvc.yaml have left."""

from pathlib import Path
from typing import Any

from finery.pipeline.project import look


def metrics_files(root: Path) -> list[Path]:
    """The metrics files there are, relative to `root`, in the order of dvc.yaml."""
    return [path for path, out in _outs(root) if out.metric and path.suffix == ".json"]


def plot_images(root: Path) -> list[Path]:
    """The plots there are that are pictures."""
    return [path for path, out in _outs(root) if out.plot and path.suffix == ".png"]


def _outs(root: Path) -> list[tuple[Path, Any]]:
    def at(repo: Any) -> list[tuple[Path, Any]]:
        outs = [(Path(out.fs_path).relative_to(repo.root_dir), out) for out in repo.index.outs]
        return [(path, out) for path, out in outs if (root / path).is_file()]

    return look(root, at)
