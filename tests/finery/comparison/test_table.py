"""The numbers of a report, on samples whose differences are known."""

import json
import math
from pathlib import Path

import numpy as np
import pytest

from finery.comparison.flips import counts, flips, marked
from finery.comparison.numbers import is_of, shown
from finery.comparison.page import report
from finery.comparison.variants import NotComparable, read_variants

from .made import ANSWERS, evaluation, evaluations, sample


def read(folder: Path, *names: str):
    return read_variants(names or list(ANSWERS), folder / "evaluate", folder / "samples")


def test_values_are_those_of_the_metrics_and_have_intervals(tmp_path: Path):
    evaluations(tmp_path, 25)
    found = report(read(tmp_path))
    every, light, harbour = found.tables
    assert [each.dataset for each in found.tables] == ["all", "light", "harbour"]
    assert (every.samples, light.samples, harbour.samples) == (100, 50, 50)
    assert every.numbers == ["perplexity", "exact_match", "keyword_match", "unfinished", "bleu"]
    merged = every.cells["merged"]
    assert merged["keyword_match"].value == 0.75
    assert (merged["keyword_match"].low, merged["keyword_match"].high) == pytest.approx(
        (0.6569, 0.8246), abs=1e-3
    )  # Wilson's of 75 in 100
    assert merged["perplexity"].value == pytest.approx(math.exp(0.875), abs=1e-5)
    assert merged["perplexity"].low < math.exp(0.875) < merged["perplexity"].high
    assert (merged["bleu"].value, merged["bleu"].low) == (12.5, None), "no mean over samples"


def test_differences_and_recovery(tmp_path: Path):
    evaluations(tmp_path, 25)
    first, second = report(read(tmp_path)).tables[0].pairs
    assert (first.name, first.other, first.recovery) == ("merged", "base", {})
    assert first.outcome == {"better": 2, "worse": 0, "count": 4, "open": 2}
    assert (second.name, second.other) == ("awq", "merged")
    by = {each.number: each for each in second.differences}
    assert by["keyword_match"].gain.value == -0.25 and by["keyword_match"].verdict == "worse"
    assert by["keyword_match"].gain.low < -0.25 < by["keyword_match"].gain.high < 0
    assert by["perplexity"].verdict == "worse" and by["perplexity"].gain.value > 0
    assert by["exact_match"].verdict == "equal" and by["exact_match"].p == 1
    assert second.recovery["keyword_match"].value == pytest.approx(2 / 3)
    assert second.recovery["perplexity"].value == pytest.approx(math.exp(0.875 - 1.25), abs=1e-5)
    assert set(second.recovery) == {"perplexity", "keyword_match"}, "nothing is left of nothing"


def test_one_flip_in_four_shows_no_difference(tmp_path: Path):
    evaluations(tmp_path)
    _, pair = report(read(tmp_path)).tables[0].pairs
    assert {each.number: each.verdict for each in pair.differences}["keyword_match"] == "open"


def test_numbers_of_the_users_and_samples_without_one(tmp_path: Path):
    for name, gain in (("base", 0.0), ("merged", 2.5)):
        made = [sample(n, "a", "b", brevity=gain + n if n % 3 else None) for n in range(30)]
        kept = [each["brevity"] for each in made if each["brevity"] is not None]
        evaluation(tmp_path, name, made, brevity=sum(kept) / len(kept), length=5.0)
    (pair,) = report(read(tmp_path, "base", "merged")).tables[0].pairs
    by = {each.number: each for each in pair.differences}
    assert by["brevity"].gain.value == pytest.approx(2.5) and by["brevity"].verdict == "better"
    assert (by["brevity"].gain.low, by["brevity"].gain.high) == pytest.approx((2.5, 2.5))
    assert "length" not in by, "no sample has it"


def test_flips_by_what_decides_and_the_words_that_differ(tmp_path: Path):
    evaluations(tmp_path)
    base, merged, awq = read(tmp_path)
    (lost,) = flips(awq, merged)
    assert (lost.question, lost.number, lost.gain) == ("Question 1?", "keyword_match", -1.0)
    assert lost.marked == (
        [("There are ", False), ("15", True), (" boats.", False)],
        [("There are ", False), ("12", True), (" boats.", False)],
    )
    assert counts(flips(merged, base)) == (3, 0) and flips(base, base) == []


@pytest.mark.parametrize(
    "text, other, differing",
    [
        ("灯塔叫盐海", "灯塔叫海", ["盐"]),
        ("", "words", []),
        ("a b", "a b", []),
        ("The cat, sat", "The dog; sat", ["cat,"]),
    ],
)
def test_marked(text: str, other: str, differing: list[str]):
    pieces, _ = marked(text, other)
    assert "".join(piece for piece, _ in pieces) == text
    assert [piece for piece, differs in pieces if differs] == differing


def test_a_large_number_is_what_its_samples_make_but_for_rounding():
    losses = np.array([[18.5 * 3, 3.0], [19.5 * 3, 3.0]])
    assert is_of("perplexity", losses, {"perplexity": round(math.exp(19) * (1 + 1e-9), 6)})
    assert not is_of("perplexity", losses, {"perplexity": math.exp(19.1)})
    assert not is_of("bleu", np.array([[40.0, 1.0], [80.0, 1.0]]), {"bleu": 58.2})


@pytest.mark.parametrize(
    "number, value, difference, said",
    [("exact_match", 0.5, False, "50.0 %"), ("exact_match", -0.0625, True, "−6.2 pp"),
     ("exact_match", 1e-9, True, "0.0 pp"), ("perplexity", 1.2345, False, "1.234"),
     ("perplexity", 20.44, False, "20.4"), ("bleu", 3.5, True, "+3.500"),
     ("perplexity", float("inf"), False, "–")],
)  # fmt: skip
def test_numbers_as_they_are_read(number: str, value: float, difference: bool, said: str):
    assert shown(number, value, difference) == said


@pytest.mark.parametrize(
    "broken, said",
    [
        (lambda folder: (folder / "samples/awq.jsonl").unlink(), "awq.jsonl: missing; run the"),
        (lambda folder: (folder / "evaluate/awq/metrics.json").write_text("{"),
         "awq/metrics.json: not JSON"),
        (lambda folder: evaluation_of(folder, ["Another question?"]),
         "awq.jsonl: 5 samples are not those of base; run both evaluations again"),
    ],
)  # fmt: skip
def test_what_cannot_be_compared_is_one_line(broken, said: str, tmp_path: Path):
    evaluations(tmp_path)
    broken(tmp_path)
    with pytest.raises(NotComparable) as error:
        read(tmp_path)
    assert said in str(error.value) and "\n" not in str(error.value)


def evaluation_of(folder: Path, questions: list[str]) -> None:
    lines = [json.dumps(sample(0, "a", "b", question=each)) for each in questions]
    (folder / "samples/awq.jsonl").write_text("\n".join(lines))
