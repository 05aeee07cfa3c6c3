import random
from dataclasses import replace

import numpy as np
import pytest

from finery.data.formats.examples import Example
from finery.data.tokens.splits import calibrating, digest, keys, validating


def example(words: str, row: int = 1, dataset: str = "d") -> Example:
    turns = ({"role": "user", "content": words}, {"role": "assistant", "content": f"{words}!"})
    return Example(dataset, row, turns)


def keys_of(words: list[str]) -> np.ndarray:
    return keys([digest(example(word, row)) for row, word in enumerate(words, 1)])


WORDS = [f"question {number}" for number in range(400)]
KEYS = keys_of(WORDS)


def held_out(words: list[str], val_size: float = 0.1, seed: int = 42) -> set[str]:
    flags = validating(keys_of(words), val_size, seed)
    return {word for word, held in zip(words, flags, strict=True) if held}


def test_a_share_validates():
    flags = validating(KEYS, 0.1, 42)
    assert flags.dtype == bool and len(flags) == 400 and 20 <= flags.sum() <= 60
    other = held_out(WORDS, seed=43)
    assert other and other & held_out(WORDS) not in (set(), other)
    assert validating(KEYS, 0, 42).sum() == 0


def test_a_larger_share_holds_out_the_same_and_more():
    assert held_out(WORDS, 0.1) < held_out(WORDS, 0.2) < held_out(WORDS, 0.999)


@pytest.mark.parametrize("count", [1, 2, 3, 50, 399])
def test_a_sample_never_moves_when_others_come_and_go(count: int):
    chosen = random.Random(count)
    more = [*chosen.sample(WORDS, count), *(f"new {number}" for number in range(100))]
    chosen.shuffle(more)
    assert held_out(more) & set(WORDS) == held_out(WORDS) & set(more)


def test_equal_samples_are_on_one_side_whatever_dataset_they_are_in():
    again = [example(word, 999, "other") for word in WORDS]
    assert (keys([digest(each) for each in again]) == KEYS).all()


def test_calibration_takes_candidates_only_no_sample_twice_and_keeps_its_choice():
    candidates = np.flatnonzero(~validating(KEYS, 0.5, 42))
    chosen = calibrating(KEYS, candidates, 16, 42)
    assert set(chosen) < set(candidates) and len(chosen) == 16
    assert chosen.tolist() == sorted(chosen)
    assert calibrating(KEYS, candidates, 10**6, 42).tolist() == candidates.tolist()
    assert calibrating(KEYS, candidates, 16, 43).tolist() != chosen.tolist()
    twice = np.concatenate((KEYS, KEYS))
    assert calibrating(twice, np.arange(800), 10**6, 42).tolist() == list(range(400))


def test_calibration_changes_as_little_as_more_samples_allow():
    before = calibrating(KEYS, np.arange(400), 40, 42)
    more = keys_of([*WORDS, *(f"new {number}" for number in range(40))])
    after = calibrating(more, np.arange(440), 40, 42)
    assert len(set(before) & set(after)) >= 30
    assert all(new in before or new >= 400 for new in after)


def test_the_digest_is_of_what_a_row_says():
    assert digest(example("a", 1)) == digest(example("a", 2, "other"))
    one = example("a")
    call = {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "f"}}]}
    reply = {"role": "assistant", "content": "x"}
    different = [
        one,
        example("b"),
        replace(one, messages=one.messages[:1]),
        replace(one, tools=({"name": "f"},)),
        replace(one, messages=(*one.messages[:1], call)),
        replace(one, chosen=reply),
        replace(one, chosen=reply, rejected={"role": "assistant", "content": "y"}),
        replace(one, desirable=True),
        replace(one, desirable=False),
        Example("d", 1, text="a"),
        Example("d", 1, ({"role": "user", "content": "a\0user\0b"},)),
    ]
    assert len({digest(each) for each in different}) == len(different)


def test_what_an_answer_must_contain_is_not_what_a_row_says():
    assert digest(replace(example("a"), keywords=("a",))) == digest(example("a"))
