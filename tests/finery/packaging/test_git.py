"""The commit of a package, and what differs from it."""

import subprocess
from pathlib import Path

from finery.packaging.git import state


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_modified_files_but_for_what_the_pipeline_writes(tmp_path: Path):
    project = tmp_path / "project"
    names = ["dvc.lock", "reports/gate/report.json", "a b.py", "ü.py", "kept.py", "lib/reports/x"]
    for name in names:
        (project / name).parent.mkdir(parents=True, exist_ok=True)
        (project / name).write_text("1")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "first")
    commit = git(tmp_path, "rev-parse", "HEAD").strip()
    assert state(project) == {"commit": commit, "modified": []}

    for name in set(names) - {"kept.py"}:
        (project / name).write_text("2")
    (project / "untracked.py").write_text("new")
    assert state(project) == {"commit": commit, "modified": ["a b.py", "lib/reports/x", "ü.py"]}


def test_outside_git_there_is_no_commit(tmp_path: Path):
    assert state(tmp_path) == {"commit": None, "modified": []}


def test_before_the_first_commit_there_is_none(tmp_path: Path):
    git(tmp_path, "init", "-q")
    assert state(tmp_path) == {"commit": None, "modified": []}
