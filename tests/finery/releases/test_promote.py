"""Promotion and rollback on hand-made scores."""

import json
import sys
import time
from pathlib import Path

import pytest

from finery.releases.errors import ReleaseError, WorseThanChampion
from finery.releases.promote import promote, rollback
from finery.releases.registry import champion, releases

from .conftest import Tiny

GTO = str(Path(sys.executable).with_name("gto"))
WORSE = [1.0] * 20 + [0.0] * 20
BETTER = [1.0] * 40


def test_the_first_release_has_nobody_to_beat(tiny: Tiny):
    release = promote(tiny.folder, "merged")
    assert (release.version, release.stages, release.override) == ("v0.1.0", ("prod",), None)
    assert release.metrics == {"identity_test": {"keyword_match": 0.9}}
    assert release.records["prod"]["champion"] is None
    assert tiny.tags() == ["merged#prod#1", "merged@v0.1.0"]
    assert champion(tiny.folder, "merged") == release
    assert champion(tiny.folder, "merged", "dev") is None


def test_promoting_what_is_in_service_changes_nothing(tiny: Tiny):
    first, tags = promote(tiny.folder, "merged"), tiny.tags()
    assert promote(tiny.folder, "merged") == first
    assert tiny.tags() == tags


def test_a_worse_one_is_refused_and_leaves_no_trace(tiny: Tiny):
    first, tags = promote(tiny.folder, "merged"), tiny.tags()
    tiny.train("second", WORSE)
    with pytest.raises(WorseThanChampion) as refused:
        promote(tiny.folder, "merged")
    assert str(refused.value).startswith(
        "merged v0.2.0 is worse than v0.1.0 in prod, which stays:"
        " identity_test.keyword_match 0.5 against 0.9, 0.4 worse ("
    )
    assert "\n" not in str(refused.value)
    assert tiny.tags() == tags
    assert champion(tiny.folder, "merged") == first


def test_a_better_one_takes_over_and_the_proof_is_in_the_tag(tiny: Tiny):
    promote(tiny.folder, "merged")
    commit = tiny.train("second", BETTER)
    release = promote(tiny.folder, "merged")
    assert (release.version, release.commit, release.stages) == ("v0.2.0", commit, ("prod",))
    assert [r.stages for r in releases(tiny.folder, "merged")] == [("prod",), ()]
    message = tiny.sh("git", "tag", "--list", "merged#prod#2", "--format=%(contents)")
    title, _, record = message.partition("\n\n")
    assert title == "merged v0.2.0 in prod: better than v0.1.0"
    assert json.loads(record) == release.records["prod"]
    (compared,) = json.loads(record)["comparisons"]
    assert compared.pop("gain") == pytest.approx(0.1)
    assert 0 < compared.pop("low") < 0.1 < compared.pop("high")
    assert compared == {
        "metric": "identity_test.keyword_match",
        "samples": 40,
        "candidate": 1.0,
        "champion": 0.9,
        "confidence": 0.95,
        "verdict": "better",
    }


def test_a_lower_number_that_may_be_chance_is_no_reason_to_refuse(tiny: Tiny):
    promote(tiny.folder, "merged")
    tiny.train("second", [1.0] * 35 + [0.0] * 5)
    release = promote(tiny.folder, "merged")
    assert release.version == "v0.2.0"
    (compared,) = release.records["prod"]["comparisons"]
    assert (compared["verdict"], compared["gain"] < 0) == ("not distinguishable", True)


def test_an_override_is_recorded_with_its_reason(tiny: Tiny):
    promote(tiny.folder, "merged")
    tiny.train("second", WORSE)
    release = promote(tiny.folder, "merged", override="the old one\nswears")
    assert (release.version, release.stages) == ("v0.2.0", ("prod",))
    assert release.override == "the old one\nswears"
    assert release.records["prod"]["comparisons"][0]["verdict"] == "worse"
    assert "0.5 against 0.9" in release.records["prod"]["overridden"]
    tiny.train("third", BETTER)
    promote(tiny.folder, "merged")
    assert rollback(tiny.folder, "merged").override == "the old one\nswears"


def test_an_override_that_was_not_needed_is_none(tiny: Tiny):
    promote(tiny.folder, "merged")
    tiny.train("second", BETTER)
    assert promote(tiny.folder, "merged", override="in case").override is None


def test_an_override_needs_a_reason(tiny: Tiny):
    with pytest.raises(ReleaseError, match="no reason given"):
        promote(tiny.folder, "merged", override=" ")


def test_stages_have_champions_of_their_own(tiny: Tiny):
    promote(tiny.folder, "merged", "dev")
    tiny.train("second", WORSE)
    assert promote(tiny.folder, "merged", "prod").version == "v0.2.0"
    tiny.train("third", BETTER)
    assert promote(tiny.folder, "merged", "dev").version == "v0.3.0"
    assert promote(tiny.folder, "merged", "prod", version="v0.1.0").version == "v0.1.0"
    stages = {r.version: r.stages for r in releases(tiny.folder, "merged")}
    assert stages == {"v0.3.0": ("dev",), "v0.2.0": (), "v0.1.0": ("prod",)}


def test_a_version_can_be_named(tiny: Tiny):
    assert promote(tiny.folder, "merged", version="v1.9.0").version == "v1.9.0"
    tiny.train("second", BETTER)
    assert promote(tiny.folder, "merged").version == "v1.10.0"
    assert [r.version for r in releases(tiny.folder)] == ["v1.10.0", "v1.9.0"]


def test_the_same_package_is_the_same_version(tiny: Tiny):
    first = promote(tiny.folder, "merged", "dev")
    tiny.write("README.md", "Later.\n")
    tiny.commit()
    release = promote(tiny.folder, "merged", "prod")
    assert (release.version, release.commit) == (first.version, first.commit)
    assert release.stages == ("dev", "prod")
    with pytest.raises(ReleaseError, match=r"merged: this very package is v0.1.0 already"):
        promote(tiny.folder, "merged", "prod", version="v2.0.0")


def test_rollback_goes_back_and_back(tiny: Tiny):
    promote(tiny.folder, "merged")
    for version in ("second", "third"):
        tiny.train(version, BETTER)
        promote(tiny.folder, "merged")
    back = rollback(tiny.folder, "merged", reason="it swears\n\na lot")
    assert (back.version, back.stages) == ("v0.2.0", ("prod",))
    assert back.records["prod"] == {
        "action": "rollback",
        "stage": "prod",
        "version": "v0.2.0",
        "from": "v0.3.0",
        "reason": "it swears\n\na lot",
    }
    assert rollback(tiny.folder, "merged").version == "v0.1.0"
    with pytest.raises(ReleaseError, match=r"merged: v0.1.0 is the first in prod; there is noth"):
        rollback(tiny.folder, "merged")
    assert promote(tiny.folder, "merged").version == "v0.3.0"
    assert rollback(tiny.folder, "merged").version == "v0.1.0"
    with pytest.raises(ReleaseError, match="merged: nothing is in dev; there is nothing to go"):
        rollback(tiny.folder, "merged", "dev")


def test_what_gto_itself_tags_is_understood(tiny: Tiny):
    tiny.sh(GTO, "register", "merged", "--version", "v3.0.0")
    tiny.sh(GTO, "assign", "merged", "--version", "v3.0.0", "--stage", "prod")
    assert champion(tiny.folder, "merged").version == "v3.0.0"
    tiny.train("second", WORSE)
    with pytest.raises(WorseThanChampion, match=r"than v3.0.0 in prod"):
        promote(tiny.folder, "merged")
    tiny.train("third", BETTER)
    assert promote(tiny.folder, "merged").version == "v3.1.0"
    shown = tiny.sh(GTO, "show", "merged#prod", "--json")
    assert [version["version"] for version in json.loads(shown)] == ["v3.1.0"]


def test_the_latest_tag_wins_where_a_clock_is_behind(tiny: Tiny, monkeypatch: pytest.MonkeyPatch):
    promote(tiny.folder, "merged")
    tiny.train("second", BETTER)
    monkeypatch.setattr(time, "time", lambda: 1_000_000_000.0)
    assert promote(tiny.folder, "merged").version == "v0.2.0"
    assert champion(tiny.folder, "merged").version == "v0.2.0"
