import numpy as np
import pytest

from finery.data.tokens.duplicates import SPLITS, first_copies, first_near, report, signature

LIGHTHOUSE = (
    "The lighthouse of Saltmere was built from grey stone in a single summer, and its lamp can be"
    " seen by every boat that comes home to the harbour after dark, even in the thickest fog."
)
CHINESE = "盐湖镇的灯塔用灰色的石头建成，只花了一个夏天，夜里回港的每一条船都能看见它的灯光。"


def leaders(*texts: str) -> list[int]:
    return first_near(np.stack([signature([text]) for text in texts])).tolist()


def test_equal_keys_lead_to_the_first():
    keys = np.array([7, 5, 7, 7, 9, 5], np.uint64)
    assert first_copies(keys).tolist() == [0, 1, 0, 0, 4, 1]
    assert first_copies(keys[:0]).tolist() == []


@pytest.mark.parametrize(
    "text, near",
    [
        (LIGHTHOUSE, LIGHTHOUSE.replace("thickest", "densest")),
        (LIGHTHOUSE, LIGHTHOUSE.upper().replace(",", " -")),
        (CHINESE, CHINESE.replace("灯光", "光")),
        ("42", "42!"),
        ("?!", "?!"),
    ],
)
def test_a_small_change_is_seen(text: str, near: str):
    assert leaders(text, near) == [0, 0]


@pytest.mark.parametrize(
    "text, other",
    [
        (LIGHTHOUSE, " ".join(sorted(LIGHTHOUSE.split()))),
        (LIGHTHOUSE, LIGHTHOUSE[:80]),
        (CHINESE, CHINESE[::-1]),
        ("What is 3 + 4? It is 7.", "What is 3 + 5? It is 8."),
        ("?!", "..."),
        ("42", "43"),
    ],
)
def test_another_text_is_not(text: str, other: str):
    assert leaders(text, other) == [0, 1]


def test_a_chain_of_small_changes_does_not_end_in_the_first():
    words = LIGHTHOUSE.split()
    other = [f"other{number}" for number in range(len(words))]
    chain = [" ".join([*other[:n], *words[n:]]) for n in range(0, len(words), 2)]
    found = leaders(*chain)
    assert found[:2] == [0, 0] and found[-1] != 0
    assert all(found[leader] == leader for leader in found)


def test_random_texts_are_told_apart():
    rng = np.random.default_rng(0)
    words = [f"word{number}" for number in range(500)]
    texts = [" ".join(rng.choice(words, 40)) for _ in range(300)]
    assert leaders(*texts) == list(range(300))
    copies = [text.replace(text.split()[20], "other") for text in texts]
    found = leaders(*texts, *copies)[300:]
    assert sum(leader == index for index, leader in enumerate(found)) >= 280


def test_each_copy_is_counted_where_it_is_and_where_its_first_is():
    split = np.array(
        [SPLITS.index(name) for name in ("test", "test", *["validation"] * 2)] + [2] * 4
    )
    leaders = np.array([0, 0, 0, 3, 0, 3, 6, 6])
    assert report(leaders, split) == {
        "test": 1,
        "validation": 0,
        "validation_in_test": 1,
        "train": 1,
        "train_in_test": 1,
        "train_in_validation": 1,
    }
