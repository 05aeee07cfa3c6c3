"""Promotion and rollback on hand-made scores."""

import json

import pytest

from finery.releases.errors import ReleaseError, WorseThanChampion
from finery.releases.promote import promote, rollback
from finery.releases.registry import champion, releases

from .conftest import Tiny

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
