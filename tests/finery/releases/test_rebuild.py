"""A release is made again from nothing, and compared with what was released."""

import json
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from finery.cli import app
from finery.errors import PipelineError
from finery.releases.errors import NotDelivered, ReleaseError
from finery.releases.promote import promote
from finery.releases.rebuild import SCRATCH, rebuild
from tests.finery.releases.conftest import Tiny

DVC = (sys.executable, "-m", "dvc")
STAGES = ["prepare", "evaluate@merged", "gate", "package@merged"]


def run(tiny: Tiny, monkeypatch: pytest.MonkeyPatch, wanted: str) -> tuple[int, str, str]:
    monkeypatch.chdir(tiny.folder)
    result = CliRunner().invoke(app, ["rebuild", wanted])
    return result.exit_code, result.stdout, result.stderr


def test_the_same_bytes(tiny: Tiny, monkeypatch: pytest.MonkeyPatch):
    promote(tiny.folder, "merged")
    tiny.train("second", [0.0] * 40)  # whatever came after
    status, said, _ = run(tiny, monkeypatch, "merged@v0.1.0")
    assert status == 0 and said == "merged v0.1.0: 4 stages made the same bytes again\n"
    assert not list((tiny.folder / SCRATCH).iterdir())
    assert tiny.sh("git", "status", "--porcelain") == ""


def salted(tiny: Tiny) -> None:
    """A first stage that adds a random number to what it makes, which no other stage reads."""
    salt = "python -c 'import os; print(os.urandom(8).hex())' > data/prepared/test/salt"
    pipeline = (tiny.folder / "dvc.yaml").read_text()
    made = "cp -r tests data/prepared/test"
    tiny.write("dvc.yaml", pipeline.replace(made, f"{made} && {salt}"))
    tiny.repro()


def test_the_first_stage_that_differs_is_named(tiny: Tiny, monkeypatch: pytest.MonkeyPatch):
    salted(tiny)
    tiny.commit()
    promote(tiny.folder, "merged")
    status, *said = run(tiny, monkeypatch, "merged@prod")
    folder = Path(SCRATCH, "merged-v0.1.0")
    assert status == 1 and (
        f"merged v0.1.0: prepare made another data/prepared/test, which is in {folder}\n"
        "merged v0.1.0: 0 of 4 stages made the same before it\n"
    ) in "".join(said)
    assert (tiny.folder / folder / "data/prepared/test/salt").exists()


def test_a_rebuild_that_was_stopped_goes_on(tiny: Tiny):
    blocker = tiny.folder / "blocked"
    pipeline = (tiny.folder / "dvc.yaml").read_text()
    tiny.write("dvc.yaml", pipeline.replace("&& cp -r w", f"&& test ! -e {blocker} && cp -r w"))
    tiny.repro()
    tiny.commit()
    promote(tiny.folder, "merged")
    blocker.touch()
    with pytest.raises(PipelineError, match=r"merged-v0\.1\.0: the pipeline ended with exit"):
        rebuild(tiny.folder, "merged@v0.1.0")
    kept = tiny.folder / SCRATCH / "merged-v0.1.0/data/prepared/test/questions.json"
    before = kept.stat().st_ctime_ns
    with pytest.raises(PipelineError):
        rebuild(tiny.folder, "merged@v0.1.0")
    assert kept.stat().st_ctime_ns == before
    blocker.unlink()
    assert rebuild(tiny.folder, "merged@v0.1.0").differing == {}


def test_the_code_is_that_of_the_commit_in_the_manifest(tiny: Tiny):
    """dvc.lock of a release is committed after its package was made."""
    before = tiny.sh("git", "rev-parse", "HEAD").strip()
    git = {"commit": before, "modified": [], "untracked": []}
    tiny.write("weights/MANIFEST.json", json.dumps({"git": git}))
    tiny.repro()
    tiny.commit()
    promote(tiny.folder, "merged")
    made = rebuild(tiny.folder, "merged@v0.1.0")
    assert list(made.differing) == ["package@merged"]  # which had no manifest then
    assert tiny.sh("git", "-C", str(made.folder), "rev-parse", "HEAD").strip() == before


def test_what_was_in_no_commit_and_other_libraries_are_said(tiny: Tiny):
    git = {"commit": "c" * 40, "modified": ["params.yaml"], "untracked": []}
    tiny.write("weights/MANIFEST.json", json.dumps({"git": git}))
    libraries = [{"uri": "pkg:pypi/torch@1.0"}, {"uri": "pkg:pypi/none-such@2"}, {"uri": "hf:x"}]
    definition = {"buildDefinition": {"resolvedDependencies": libraries}}
    tiny.write("weights/provenance.json", json.dumps({"predicate": definition}))
    salted(tiny)
    tiny.commit()
    promote(tiny.folder, "merged")
    made = rebuild(tiny.folder, "merged@prod")
    assert list(made.differing) == ["prepare"]
    assert made.remarks[0] == (
        "when it was packaged, params.yaml was in no commit, as its manifest says"
    )
    assert made.remarks[1].startswith("torch 1.0 then, 2.") and made.remarks[1].endswith(" here")
    assert made.remarks[2] == "none-such 2 then, none here"


def test_data_that_dvc_tracks_is_brought(tiny: Tiny):
    tiny.sh("git", "rm", "--quiet", "-r", "--cached", "tests")
    tiny.sh(*DVC, "add", "--quiet", "tests")
    tiny.repro()
    tiny.commit()
    promote(tiny.folder, "merged")
    assert rebuild(tiny.folder, "merged@prod").differing == {}
    tiny.sh("rm", "-rf", ".dvc/cache")
    with pytest.raises(NotDelivered, match="tests"):
        rebuild(tiny.folder, "merged@prod")


@pytest.mark.parametrize("wanted", ["merged", "gptq@prod", "merged@v9.0.0"])
def test_an_unknown_release(tiny: Tiny, wanted: str):
    promote(tiny.folder, "merged")
    with pytest.raises(ReleaseError):
        rebuild(tiny.folder, wanted)
