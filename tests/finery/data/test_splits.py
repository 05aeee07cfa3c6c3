import random

import pytest

from finery.data.alpaca import Example
from finery.data.splits import calibration_set, fingerprint, validation_split


def example(words: str, row: int = 1) -> Example:
    turns = ({"role": "user", "content": words}, {"role": "assistant", "content": f"{words}!"})
    return Example("d", row, turns)


EXAMPLES = [example(f"question {number}", number) for number in range(400)]


def words(examples: list[Example], indices: list[int]) -> set[str]:
    return {examples[index].messages[0]["content"] for index in indices}


def test_a_share_validates_and_nothing_is_lost():
    training, validation = validation_split(EXAMPLES, 0.1, seed=42)
    assert sorted(training + validation) == list(range(400))
    assert (training, validation) == (sorted(training), sorted(validation))
    assert 20 <= len(validation) <= 60
    other = validation_split(EXAMPLES, 0.1, seed=43)[1]
    assert 0 < len(set(other) & set(validation)) < len(validation)


def test_a_sample_keeps_its_place_whatever_is_around_it():
    held_out = words(EXAMPLES, validation_split(EXAMPLES, 0.1, 42)[1])
    more = [*EXAMPLES, *(example(f"new {number}") for number in range(100))]
    random.Random(0).shuffle(more)
    more = more[:-50]
    old = {example.messages[0]["content"] for example in more} & words(EXAMPLES, list(range(400)))
    assert words(more, validation_split(more, 0.1, 42)[1]) & old == held_out & old


def test_equal_samples_are_on_one_side():
    twice = [*EXAMPLES, *(example(f"question {number}", 999) for number in range(400))]
    training, validation = validation_split(twice, 0.1, 42)
    assert words(twice, training) & words(twice, validation) == set()
    assert len(validation) == 2 * len(validation_split(EXAMPLES, 0.1, 42)[1])


@pytest.mark.parametrize(
    "count, val_size, validating",
    [(400, 0, 0), (400, 1e-9, 1), (2, 1e-9, 1), (1, 0.5, 0), (0, 0.5, 0), (3, 0.999, 0)],
)
def test_the_ends_of_the_scale(count: int, val_size: float, validating: int):
    training, validation = validation_split(EXAMPLES[:count], val_size, 42)
    assert (len(training), len(validation)) == (count - validating, validating)


def test_copies_of_one_sample_are_all_trained_on():
    assert validation_split([example("same")] * 5, 0.5, 42) == ([0, 1, 2, 3, 4], [])


def test_calibration_takes_training_samples_only_and_keeps_its_choice():
    training, _ = validation_split(EXAMPLES, 0.5, 42)
    chosen = calibration_set(EXAMPLES, training, 16, seed=42)
    assert set(chosen) < set(training) and len(chosen) == 16 and chosen == sorted(chosen)
    assert calibration_set(EXAMPLES, training, 10**6, seed=42) == training
    back = EXAMPLES[::-1]
    again = calibration_set(back, [399 - index for index in training], 16, seed=42)
    assert words(back, again) == words(EXAMPLES, chosen)
    assert calibration_set(EXAMPLES, training, 16, seed=43) != chosen


def test_the_fingerprint_is_of_the_words():
    assert fingerprint(EXAMPLES) == fingerprint([example(f"question {n}", 0) for n in range(400)])
    assert len({
        fingerprint([example("ab"), example("c")]),
        fingerprint([example("a"), example("bc")]),
        fingerprint([example("c"), example("ab")]),
        fingerprint([Example("d", 1, example("ab").messages, ("k",)), example("c")]),
    }) == 4  # fmt: skip
