"""Run the pipeline twice from nothing and compare every artefact, byte for byte.

    python bench/reproducible.py

Clones this repository twice beside each other, runs `dvc repro` in each with an empty cache and
compares the two dvc.lock files, which hold the hash of every dependency and output.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        first, second = (_lock(Path(folder) / name) for name in ("first", "second"))
    differing = sorted(stage for stage in first if first[stage] != second.get(stage))
    if first.keys() != second.keys() or differing:
        sys.exit(f"not reproducible: {', '.join(differing) or 'other stages'}")
    print(f"{len(first)} stages, every dependency and output the same to the byte")


def _lock(clone: Path) -> dict:
    """The stages in dvc.lock after a run from scratch."""
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    (clone / "dvc.lock").unlink(missing_ok=True)
    subprocess.run(["dvc", "repro"], cwd=clone, check=True)
    return YAML(typ="safe").load(clone / "dvc.lock")["stages"]


if __name__ == "__main__":
    main()
