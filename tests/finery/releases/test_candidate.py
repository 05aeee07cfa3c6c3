"""What cannot be released, and the one line that says so."""

import json
from pathlib import Path

import pytest

from finery.errors import UserError
from finery.releases.promote import promote
from finery.releases.registry import releases

from .conftest import Tiny


def refusal(tiny: Tiny, **options: object) -> str:
    """The line that a promotion ends with, and nothing tagged."""
    before = tiny.tags()
    with pytest.raises(UserError) as refused:
        promote(tiny.folder, **({"name": "merged"} | options))
    assert tiny.tags() == before
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_outside_git(tmp_path: Path):
    with pytest.raises(UserError, match="not a git repository"):
        promote(tmp_path, "merged")
    with pytest.raises(UserError, match="not a git repository"):
        releases(tmp_path)


def test_before_the_first_commit(new: Tiny):
    assert "no commit yet" in refusal(new)


def test_nothing_ran(new: Tiny):
    commit = new.commit()
    assert refusal(new).startswith(f"dvc.lock: not in commit {commit[:8]}; run the pipeline")


def test_an_unknown_model(tiny: Tiny):
    assert "no gtpq at commit" in refusal(tiny, name="gtpq")
    assert "it has merged" in refusal(tiny, name="gtpq")


def test_a_stage_or_version_that_is_none(tiny: Tiny):
    assert refusal(tiny, stage="Prod!").startswith("stage Prod!: use lower-case letters")
    assert refusal(tiny, version="1.0") == "1.0: not a version; versions are like v1.2.0"


def test_nobody_made_the_tag(tiny: Tiny):
    tiny.sh("git", "config", "--unset", "user.name")
    tiny.sh("git", "config", "--unset", "user.email")
    tiny.sh("git", "config", "user.useConfigOnly", "true")
    assert refusal(tiny).startswith("git: no user is set")


@pytest.mark.parametrize("file", ["params.yaml", "dvc.lock", "weights/model", "gate.json"])
def test_a_pipeline_file_that_was_changed_since(tiny: Tiny, file: str):
    tiny.write(file, (tiny.folder / file).read_text() + "\n")
    assert refusal(tiny) == f"{file}: not as committed; run `dvc repro` and commit, or undo"


def test_other_files_may_change(tiny: Tiny):
    tiny.write("README.md", "Soon.\n")
    tiny.commit()
    tiny.write("README.md", "Sooner.\n")
    assert promote(tiny.folder, "merged").version == "v0.1.0"


def test_a_commit_that_is_ahead_of_its_package(tiny: Tiny):
    tiny.write("gate.json", '{"passed": true, "rules": [{}]}')
    tiny.commit()
    assert refusal(tiny).startswith("merged: gate would run again, the package is older")


def test_a_commit_whose_package_is_only_in_the_run_cache(tiny: Tiny):
    tiny.train("second", [1.0] * 40)
    tiny.sh("git", "checkout", "--quiet", "HEAD~", "--", "weights")
    tiny.commit()
    assert "would run again" in refusal(tiny)


def test_a_package_that_was_never_made(tiny: Tiny):
    lock = (tiny.folder / "dvc.lock").read_text()
    tiny.write("dvc.lock", lock[: lock.index("  package@merged:")])
    commit = tiny.commit()
    assert refusal(tiny) == (
        f"dvc.lock: no models/packages/merged at commit {commit[:8]}; run `dvc repro` and commit"
    )


def test_a_gate_that_was_not_passed(tiny: Tiny):
    tiny.write("gate.json", json.dumps({"passed": False, "rules": []}))
    tiny.repro()
    commit = tiny.commit()
    assert refusal(tiny) == (
        f"reports/gate/report.json: the gate was not passed at commit {commit[:8]};"
        " only what passed the gate is released"
    )


def test_nowhere_to_push(tiny: Tiny):
    assert refusal(tiny, push=True).startswith("git: no remote to push tags to")


def test_no_scores_of_the_champion(tiny: Tiny):
    promote(tiny.folder, "merged")
    tiny.train("second", [1.0] * 40)
    for file in (tiny.folder / ".dvc/cache/files").rglob("*"):
        if file.is_file() and b'"keyword_match": 0.0' in file.read_bytes():
            file.unlink()
    line = refusal(tiny)
    assert line.startswith("reports/evaluate/merged/samples.jsonl (commit ")
    assert "is it in this cache, or on a DVC remote" in line
