"""When scores of two days do not compare, the champion is evaluated anew."""

import pytest

from finery.errors import PipelineError
from finery.releases.errors import NotPaired, ReleaseError, WorseThanChampion
from finery.releases.promote import promote
from finery.releases.registry import champion

from .conftest import Tiny

BETTER, WORSE = [1.0] * 40, [0.0] * 40


def test_other_questions_are_put_to_the_champion_too(tiny: Tiny):
    promote(tiny.folder, "merged")
    tiny.ask("What is")
    tiny.train("second", BETTER)
    record = promote(tiny.folder, "merged").records["prod"]
    assert record["evaluated_anew"] is True
    assert [(c["champion"], c["verdict"]) for c in record["comparisons"]] == [(0.9, "better")]
    assert list((tiny.folder / ".finery").iterdir()) == []


def test_a_worse_one_is_refused_on_other_questions(tiny: Tiny):
    promote(tiny.folder, "merged")
    tiny.ask("What is")
    tiny.train("second", WORSE)
    with pytest.raises(WorseThanChampion, match=r"0 against 0\.9"):
        promote(tiny.folder, "merged")


def test_scores_by_another_rule_do_not_compare(tiny: Tiny):
    """Today's evaluation is twice as strict: the champion's 0.9 of then is 0.45 of today."""
    promote(tiny.folder, "merged")
    evaluate = (tiny.folder / "stages/evaluate.py").read_text()
    assert '"keyword_match": score' in evaluate
    tiny.write("stages/evaluate.py", evaluate.replace('match": score', 'match": score / 2'))
    tiny.train("second", BETTER)
    record = promote(tiny.folder, "merged").records["prod"]
    assert record["evaluated_anew"] is True
    assert record["comparisons"][0]["champion"] == pytest.approx(0.45)
    assert record["comparisons"][0]["verdict"] == "better"


def test_an_old_version_is_compared_by_todays_questions(tiny: Tiny):
    """Neither it nor the champion, of another day, ever answered them."""
    promote(tiny.folder, "merged", "dev")
    tiny.ask("What is")
    tiny.train("second", BETTER)
    promote(tiny.folder, "merged")
    tiny.ask("Where is")
    tiny.train("third", BETTER)
    with pytest.raises(WorseThanChampion, match=r"0\.9 against 1"):
        promote(tiny.folder, "merged", version="v0.1.0")


def test_todays_code_must_be_committed_to_evaluate_by_it(tiny: Tiny):
    promote(tiny.folder, "merged", "dev")
    tiny.ask("What is")
    tiny.train("second", BETTER)
    promote(tiny.folder, "merged")
    evaluate = (tiny.folder / "stages/evaluate.py").read_text()
    tiny.write("stages/evaluate.py", evaluate + "# being edited\n")
    with pytest.raises(ReleaseError, match=r"stages/evaluate\.py: not as committed"):
        promote(tiny.folder, "merged", version="v0.1.0")


def test_a_separator_inside_a_question_is_no_end_of_line(tiny: Tiny):
    tiny.ask("Who\u2028or\x85what is")
    tiny.train("first", [1.0] * 39 + [0.0])
    promote(tiny.folder, "merged")
    tiny.train("second", BETTER)
    record = promote(tiny.folder, "merged").records["prod"]
    assert (record["evaluated_anew"], record["comparisons"][0]["samples"]) == (False, 40)


def test_same_settings_and_questions_need_no_evaluation(tiny: Tiny):
    promote(tiny.folder, "merged")
    tiny.train("second", BETTER)
    assert promote(tiny.folder, "merged").records["prod"]["evaluated_anew"] is False


def test_tests_in_tokens_of_another_tokenizer_are_not_put_to_it(tiny: Tiny):
    first = promote(tiny.folder, "merged")
    tiny.tokenize("second")
    tiny.ask("What is")
    tiny.train("second", BETTER)
    with pytest.raises(NotPaired, match="has another tokenizer or chat template"):
        promote(tiny.folder, "merged")
    assert champion(tiny.folder, "merged") == first
    release = promote(tiny.folder, "merged", override="a new base model, tried by hand")
    assert "another tokenizer" in release.records["prod"]["overridden"]
    assert "comparisons" not in release.records["prod"]


def test_an_evaluation_that_fails_releases_nothing(tiny: Tiny):
    promote(tiny.folder, "merged")
    tiny.train("second", [1.0] * 40)
    tiny.write("tests/questions.json", '["Who is it?"]')
    tiny.train("third", [1.0])
    tags = tiny.tags()
    with pytest.raises(PipelineError, match="evaluate failed with exit status 1"):
        promote(tiny.folder, "merged")
    assert tiny.tags() == tags
