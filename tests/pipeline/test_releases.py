"""A release from the tiny pipeline to a machine that never ran it; and who may take its place."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from .project import Project

FINERY, DVC = ("-m", "finery.cli"), ("-m", "dvc")


def sh(project: Project, *command: str, cwd: Path | None = None) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *command] if command[0] == "-m" else command,
        cwd=cwd or project.folder,
        env=project.environment() | {"GIT_CONFIG_GLOBAL": os.devnull},
        capture_output=True,
        text=True,
        timeout=600,
    )


def said(project: Project, *command: str, cwd: Path | None = None) -> str:
    done = sh(project, *command, cwd=cwd)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def committed(project: Project) -> str:
    said(project, "git", "add", ".")
    said(project, "git", "commit", "--quiet", "-m", "A run")
    return said(project, "git", "rev-parse", "HEAD").strip()


@pytest.fixture
def released(project: Project, tmp_path: Path) -> Project:
    """The finished pipeline, committed, compared by loss, with both kinds of remote."""
    said(project, "git", "config", "user.name", "Tester")
    said(project, "git", "config", "user.email", "tester@example.org")
    said(project, "git", "init", "--quiet", "--bare", str(tmp_path / "origin.git"))
    said(project, "git", "remote", "add", "origin", str(tmp_path / "origin.git"))
    said(project, *DVC, "remote", "add", "--quiet", "--default", "store", str(tmp_path / "store"))
    project.set("release.metrics", ["all.loss"])
    committed(project)
    said(project, "git", "push", "--quiet", "origin", "HEAD")
    for model in ("merged", "gptq"):
        assert said(project, *FINERY, "promote", model, "--push") == f"{model} v0.1.0 is in prod\n"
    return project


def test_a_release_reaches_another_machine(released: Project, tmp_path: Path):
    """One with nothing but the URL; then one with a clone and an empty cache."""
    origin, packaged = str(tmp_path / "origin.git"), "models/packages"
    get = (*FINERY, "fetch", "merged@prod", "--from", origin, "--out", "there/merged")
    machine = tmp_path / "machine"
    machine.mkdir()
    assert said(released, *get, cwd=machine).startswith("there/merged: merged v0.1.0")
    assert same(machine / "there/merged", released.folder / packaged / "merged")

    again = sh(released, *get, cwd=machine)
    assert (again.returncode, again.stderr.count("\n")) == (2, 1)
    unknown = sh(released, *FINERY, "fetch", "gptq@dev", "--from", origin, cwd=machine)
    assert (unknown.returncode, unknown.stderr) == (
        2,
        "gptq@dev: no such version or stage; there is v0.1.0 (prod)\n",
    )

    said(released, "git", "clone", "--quiet", origin, str(tmp_path / "clone"))
    clone = tmp_path / "clone"
    said(released, *FINERY, "fetch", "gptq@v0.1.0", "--out", "got", cwd=clone)
    assert same(clone / "got", released.folder / packaged / "gptq")
    artifact = (*DVC, "artifacts", "get", ".", "merged", "--stage", "prod", "--out", "from-dvc")
    said(released, *artifact, cwd=clone)
    assert said(released, *FINERY, "verify", "from-dvc", cwd=clone).startswith("from-dvc: ")
    said(released, *DVC, "artifacts", "get", origin, "gptq", cwd=machine)
    assert same(machine / "gptq", released.folder / packaged / "gptq")


@pytest.mark.slow
def test_who_takes_the_place_of_a_release(released: Project, tmp_path: Path):
    good = released.setting("train.sft.learning_rate")
    released.set("train.sft.learning_rate", 1.0e-6)
    assert released.repro().status == 0
    commit = committed(released)
    unsent = sh(released, *FINERY, "promote", "merged")
    assert unsent.returncode == 2 and "are not on the DVC remote store" in unsent.stderr
    said(released, *DVC, "push", "--quiet")
    refused = sh(released, *FINERY, "promote", "merged")
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        "merged v0.2.0 is worse than v0.1.0 in prod, which stays: all.loss "
    )
    assert refused.stderr.count("\n") == 1
    assert [r["version"] for r in listed(released)] == ["v0.1.0"]

    forced = said(released, *FINERY, "promote", "merged", "--override", "a trial of the override")
    assert "  by override: a trial of the override; against: merged v0.2.0 is worse" in forced
    newest, oldest = listed(released)
    assert (newest["commit"], newest["stages"], oldest["stages"]) == (commit, ["prod"], [])
    assert newest["override"] == "a trial of the override"
    table = said(released, *FINERY, "releases", "merged").splitlines()
    assert table[1].split()[:3] == ["merged", "v0.2.0", "prod"]
    assert table[1].rstrip().endswith("a trial of the override")

    back = said(released, *FINERY, "rollback", "merged", "--reason", "the trial is over")
    assert back == "merged v0.1.0 is back in prod, after v0.2.0\n"
    nothing = sh(released, *FINERY, "rollback", "merged")
    assert (nothing.returncode, nothing.stderr.count("\n")) == (2, 1)

    # The first model again, but other questions: the champion answers them too, from its package.
    released.set("train.sft.learning_rate", good)
    rows = json.loads(released.read("data/raw/identity_test.json"))
    rows[0]["instruction"] = "What are you called?"
    released.write("data/raw/identity_test.json", json.dumps(rows, indent=2))
    outcome = released.repro()
    assert (outcome.status, "train@sft" in outcome.ran) == (0, False), outcome.output
    committed(released)
    shutil.rmtree(released.folder / ".dvc/cache/files")  # all that it needs is on the remote...
    said(released, *DVC, "commit", "--force", "--quiet")  # ... but for what was made since
    said(released, *DVC, "push", "--quiet")
    for model, version in (("merged", "v0.3.0"), ("gptq", "v0.2.0")):
        printed = said(released, *FINERY, "promote", model)
        assert printed.splitlines()[-2] == f"{model} {version} is in prod, after v0.1.0"
        assert "  all.loss: equal (" in printed
    records = {(r["name"], r["version"]): r["records"] for r in listed(released, "gptq")}
    assert records["gptq", "v0.2.0"]["prod"]["evaluated_anew"] is True


def listed(project: Project, name: str = "merged") -> list[dict]:
    return json.loads(said(project, *FINERY, "releases", name, "--json"))


def same(one: Path, other: Path) -> bool:
    names = sorted(p.relative_to(one) for p in one.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(other) for p in other.rglob("*") if p.is_file())
    return all((one / name).read_bytes() == (other / name).read_bytes() for name in names)
