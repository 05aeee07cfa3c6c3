"""The commands as users run them: what they print, and how they end."""

import json
import subprocess
import sys
from pathlib import Path

from finery.releases.kept import LOCAL

from .conftest import ROOT, Tiny

WORSE = [0.0] * 40


def finery(tiny: Tiny, *arguments: str) -> tuple[int, str, str]:
    """Exit status, standard output and standard error."""
    command = [sys.executable, "-c", f"import sys; sys.path[0] = {str(ROOT)!r}; {MAIN}"]
    done = subprocess.run(
        [*command, *arguments], cwd=tiny.folder, capture_output=True, text=True, timeout=120
    )
    return done.returncode, done.stdout, done.stderr


MAIN = "from finery.cli import app; app()"


def test_from_the_first_release_to_the_way_back(tiny: Tiny):
    nothing = "nothing was released yet; `finery promote NAME` releases what the pipeline made\n"
    assert finery(tiny, "releases") == (0, nothing, "")
    assert finery(tiny, "promote", "merged") == (0, "merged v0.1.0 is in prod\n", f"{LOCAL}\n")

    tiny.train("second", WORSE)
    status, out, error = finery(tiny, "promote", "merged")
    assert (status, out) == (1, "")
    assert error == (
        "merged v0.2.0 is worse than v0.1.0 in prod, which stays: identity_test.keyword_match"
        " 0 against 0.9, 0.9 worse (0.825 to 0.975; 40 samples, 95% confidence)\n"
    )

    status, out, error = finery(tiny, "promote", "merged", "--override", "a drill")
    first, second, third = out.splitlines()
    assert (status, first) == (0, "merged v0.2.0 is in prod, after v0.1.0")
    assert error == f"{LOCAL}\n"
    assert second.startswith("  by override: a drill; against: merged v0.2.0 is worse than v0.1.0")
    assert third == (
        "  identity_test.keyword_match: worse (0 against 0.9, gain -0.9, -0.975 to -0.825,"
        " 40 samples)"
    )

    back = "merged v0.1.0 is back in prod, after v0.2.0\n"
    assert finery(tiny, "rollback", "merged", "--reason", "over") == (0, back, f"{LOCAL}\n")
    status, out, error = finery(tiny, "rollback", "merged")
    assert (status, out) == (2, "")
    assert error == "merged: v0.1.0 is the first in prod; there is nothing to go back to\n"


def test_the_table_and_its_json(tiny: Tiny):
    finery(tiny, "promote", "merged", "--stage", "dev")
    finery(tiny, "promote", "merged", "--stage", "prod")
    status, out, _ = finery(tiny, "releases", "merged")
    head, row = (line.split() for line in out.splitlines())
    assert head[:4] == ["name", "version", "stage", "identity_test.keyword_match"]
    assert row[:5] == ["merged", "v0.1.0", "dev,", "prod", "0.9"]
    status, out, _ = finery(tiny, "releases", "--json")
    (release,) = json.loads(out)
    assert (status, release["version"], release["stages"]) == (0, "v0.1.0", ["dev", "prod"])
    assert release["metrics"] == {"identity_test": {"keyword_match": 0.9}}
    assert (release["override"], set(release["records"])) == (None, {"dev", "prod"})
    assert finery(tiny, "releases", "awq") == (2, "", "awq: no release; there are merged\n")


def test_fetch_verifies_what_came(tiny: Tiny, tmp_path: Path):
    """The hand-made package has half a manifest, so it is none."""
    finery(tiny, "promote", "merged")
    status, out, error = finery(tiny, "fetch", "merged@prod", "--out", str(tmp_path / "got"))
    assert (status, out) == (2, "")
    assert "MANIFEST.json: malformed: " in error
    assert not (tmp_path / "got").exists()


def test_no_command_imports_torch(tiny: Tiny):
    finery(tiny, "promote", "merged")
    report = "print({'torch', 'transformers', 'dvc', 'prefect'} & sys.modules.keys())"
    code = f"import sys; sys.path[0] = {str(ROOT)!r}\nfrom finery.cli import app\n"
    code += f"try: app(['releases'])\nexcept SystemExit: pass\n{report}"
    out = tiny.sh(sys.executable, "-c", code)
    assert out.splitlines()[-1] == "set()"
