"""The commit of a package, and what differs from it or is not in it."""

from pathlib import Path

import pytest
from dvc.repo import Repo

from finery.git import git
from finery.packaging.provenance import provenance

IDENTITY = ("-c", "user.name=a", "-c", "user.email=a@b")
PIPELINE = """
stages:
  prepare:
    cmd: "true"
    params: [data]
    deps: [data/raw, code]
    outs: [data/prepared]
  train:
    cmd: "true"
    deps: [data/prepared, code/x.py]
    outs: [model]
"""


@pytest.fixture(autouse=True)
def alone(tmp_path: Path, monkeypatch):
    """Keep the user's settings of DVC out."""
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "dvc"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A DVC project of two stages in a folder of a repository, all of it committed."""
    folder = tmp_path / "repo/project"
    for name in ("data/raw/a.json", "code/x.py", "dvc.lock", "reports/gate/report.json"):
        write(folder, name)
    write(folder, "dvc.yaml", PIPELINE)
    write(folder, "params.yaml", "data: {}\n")
    write(folder, ".dvcignore", "__pycache__\n")
    (folder / "dvc.lock").unlink()
    write(folder, ".gitignore", "/data/prepared/\n/model/\n")
    git(folder.parent, "init", "-q")
    Repo.init(str(folder), subdir=True).close()
    commit(folder)
    return folder


def write(folder: Path, name: str, text: str = "1") -> None:
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(text)


def commit(folder: Path) -> None:
    git(folder, "add", ".")
    git(folder, *IDENTITY, "commit", "-qm", "all")


def test_all_that_is_committed(project: Path):
    for name in ("data/prepared/train", "model/weights", "code/__pycache__/x.pyc", "notes.txt"):
        write(project, name)
    sha = git(project, "rev-parse", "HEAD").strip()
    assert provenance(project) == {"commit": sha, "modified": [], "untracked": []}


def test_modified_files_but_for_what_the_pipeline_writes(project: Path):
    names = ["a b.py", "ü.py", "kept.py", "lib/reports/x", "reports/gate/report.json"]
    for name in names:
        write(project, name)
    commit(project)
    for name in set(names) - {"kept.py"}:
        write(project, name, "2")
    assert provenance(project)["modified"] == ["a b.py", "lib/reports/x", "ü.py"]


def test_a_dataset_or_code_that_git_ignores_or_was_not_told_of(project: Path):
    write(project, ".gitignore", "/data/prepared/\n*.csv\n")
    for name in ("data/raw/b.json", "data/raw/c.csv", "code/new.py", "code/more/y.py"):
        write(project, name)
    made = provenance(project)
    assert made["untracked"] == ["code/more/", "code/new.py", "data/raw/b.json", "data/raw/c.csv"]
    assert made["modified"] == [".gitignore"]


def test_a_dataset_elsewhere(project: Path, tmp_path: Path):
    (project / "data/raw").rename(tmp_path / "raw")
    write(project, "dvc.yaml", PIPELINE.replace("data/raw", str(tmp_path / "raw")))
    commit(project)
    assert provenance(project)["untracked"] == ["../../raw"]


def test_settings_that_nobody_committed(project: Path):
    git(project, "rm", "-q", "--cached", "params.yaml", "dvc.yaml")
    git(project, *IDENTITY, "commit", "-qm", "fewer")
    assert provenance(project)["untracked"] == ["dvc.yaml", "params.yaml"]


@pytest.mark.parametrize("added", ["data/raw", "data/raw/big.json"])
def test_what_dvc_pins_is_as_good_as_committed(project: Path, added: str):
    """Its .dvc file is the input then, and must be in the commit itself."""
    git(project, "rm", "-rq", "--cached", "data/raw")
    git(project, *IDENTITY, "commit", "-qm", "out")
    write(project, "data/raw/big.json")
    if added != "data/raw":
        git(project, "add", "data/raw/a.json")
    with Repo(str(project)) as repo:
        repo.add(str(project / added))
    assert set(provenance(project)["untracked"]) - {"data/raw/.gitignore"} == {f"{added}.dvc"}
    commit(project)
    assert provenance(project)["untracked"] == []


def test_outside_git_and_before_the_first_commit(tmp_path: Path):
    none = {"commit": None, "modified": [], "untracked": []}
    assert provenance(tmp_path) == none
    git(tmp_path, "init", "-q")
    assert provenance(tmp_path) == none
