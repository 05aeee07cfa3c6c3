"""Two models' samples, paired by what was asked."""

import math

import pytest

from finery.params.release import ReleaseParams
from finery.releases.comparison import compare
from finery.releases.errors import NotPaired, ReleaseError


def samples(scores: list[float], tests: str = "Q") -> list[dict]:
    return [
        {
            "dataset": "identity_test",
            "question": f"{tests}{number}",
            "reference": "Fennel.",
            "answer": "",
            "keywords": ["fennel"],
            "keyword_match": score,
            "loss": 1.0 - score,
            "reference_tokens": 2,
            "finished": True,
        }
        for number, score in enumerate(scores)
    ]


def params(*metrics: str) -> ReleaseParams:
    return ReleaseParams(metrics=list(metrics), resamples=1000)


def edited(scored: list[dict], **values: object) -> list[dict]:
    return [sample | values for sample in scored]


KEYWORDS = params("identity_test.keyword_match")
MINE, THEIRS = samples([1.0, 0.0, 1.0, 1.0]), samples([1.0, 1.0, 0.0, 0.0])


def test_the_order_of_the_samples_does_not_matter():
    assert compare(MINE[::-1], THEIRS, KEYWORDS) == compare(MINE[::-1], THEIRS[::-1], KEYWORDS)
    (found,) = compare(MINE[::-1], THEIRS, KEYWORDS)
    assert (found.candidate, found.champion, found.gain, found.samples) == (0.75, 0.5, 0.25, 4)
    assert found.verdict == "not distinguishable"


def test_a_lower_loss_is_better_and_counts_by_the_token():
    mine, theirs = edited(MINE, loss=1.0), edited(MINE, loss=1.5)
    theirs[0] |= {"loss": 0.5, "reference_tokens": 2}
    theirs[1] |= {"reference_tokens": 200}
    mine[1] |= {"reference_tokens": 200}
    (found,) = compare(mine, theirs, params("identity_test.loss"))
    assert found.gain == pytest.approx((-0.5 * 2 + 0.5 * 200 + 0.5 * 2 + 0.5 * 2) / 4)
    assert compare(theirs, mine, params("all.loss"))[0].gain == -found.gain


def test_an_answer_that_ends_is_better_than_a_cut_one():
    (found,) = compare(MINE, edited(MINE, finished=False), params("all.unfinished"))
    assert (found.candidate, found.champion, found.gain, found.verdict) == (0, 1, 1, "better")


def test_every_metric_gets_a_verdict():
    both = params("identity_test.keyword_match", "identity_test.loss")
    found = compare(edited(MINE, loss=1.5), MINE, both)
    assert [c.verdict for c in found] == ["equal", "worse"]


@pytest.mark.parametrize("key", ["question", "reference", "keywords", "dataset"])
def test_another_question_is_no_pair(key: str):
    theirs = [*THEIRS[:3], THEIRS[3] | {key: ["other"] if key == "keywords" else "other"}]
    with pytest.raises(NotPaired, match="1 test samples are new and 1 are gone"):
        compare(MINE, theirs, params("all.keyword_match"))


def test_datasets_that_no_metric_asks_for_need_not_pair():
    extra = edited(samples([1.0], tests="Z"), dataset="handbook_test")
    assert compare(MINE + extra, THEIRS, KEYWORDS) == compare(MINE, THEIRS, KEYWORDS)


def test_the_same_question_twice_makes_two_pairs():
    with pytest.raises(NotPaired, match="1 test samples are new and 0 are gone"):
        compare([*MINE, MINE[0]], THEIRS, KEYWORDS)
    (found,) = compare([*MINE, MINE[0]], [*THEIRS, THEIRS[0]], KEYWORDS)
    assert found.samples == 5


def test_samples_without_a_score_do_not_count():
    mine = [MINE[0] | {"keyword_match": None}, *MINE[1:]]
    assert compare(mine, THEIRS, KEYWORDS)[0].samples == 3
    bare = edited(MINE, keyword_match=None)
    with pytest.raises(ReleaseError, match=r"identity_test.keyword_match: no test sample has"):
        compare(bare, bare, KEYWORDS)


def test_samples_of_before_a_metric_was_there_have_no_score():
    called = edited(MINE, call_match=1.0)
    with pytest.raises(ReleaseError, match=r"identity_test.call_match: no test sample has a score"):
        compare(called, THEIRS, params("identity_test.call_match"))
    (found,) = compare(called, edited(THEIRS, call_match=0.0), params("all.call_match"))
    assert found.verdict == "better"
    without = edited(MINE, loss=None, reference_tokens=0)
    with pytest.raises(ReleaseError, match=r"identity_test.loss: no test sample has a score"):
        compare(without, THEIRS, params("identity_test.loss"))


def test_no_samples_of_a_dataset_are_no_comparison():
    with pytest.raises(ReleaseError, match=r"handbook_test.loss: no test sample has a score"):
        compare(MINE, THEIRS, params("handbook_test.loss"))


@pytest.mark.parametrize("broken", [math.nan, math.inf, None])
def test_a_score_that_is_no_number_is_never_good_enough(broken: float):
    mine = [*MINE[:3], MINE[3] | {"loss": broken}]
    with pytest.raises(ReleaseError, match="no finite score"):
        compare(mine, THEIRS, params("identity_test.loss"))
