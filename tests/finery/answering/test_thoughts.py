"""Thoughts are told from answers, however the words are cut into pieces."""

import pytest

from finery.answering.thoughts import Thoughts, parted

CASES = [
    ("<think>\nWell.\n</think>\n\nFour.", False, "Well.", "Four."),
    ("Well.\n</think>\n\nFour.", True, "Well.", "Four."),
    ("[THINK]Well.[/THINK]Four.", False, "Well.", "Four."),
    ("<think>\n\n</think>\n\nFour.", False, "", "Four."),
    ("Four.", False, "", "Four."),
    ("<b>Four</b>, not <think>five</think>.", False, "", "<b>Four</b>, not <think>five</think>."),
    ("<think>never ends", False, "never ends", ""),
    ("<thi", False, "", "<thi"),
    ("<think>a </think ", False, "a </think", ""),
    ("", True, "", ""),
]


@pytest.mark.parametrize(("text", "opened", "thought", "said"), CASES)
@pytest.mark.parametrize("size", [1, 2, 5, 100])
def test_pieces_of_any_size(text: str, opened: bool, thought: str, said: str, size: int) -> None:
    thoughts, parts = Thoughts(opened), []
    for start in range(0, len(text), size):
        parts += thoughts.add(text[start : start + size])
    parts += thoughts.add("", last=True)
    thinks = "".join(words for inside, words in parts if inside)
    says = "".join(words for inside, words in parts if not inside)
    assert (thinks, says) == (thought, said)
    assert parted(text, opened) == (thought, said)


def test_words_are_passed_on_as_soon_as_they_are_certain() -> None:
    thoughts = Thoughts()
    assert thoughts.add("<think>We") == [(True, "We")]
    assert thoughts.add("ll </") == [(True, "ll")]
    assert thoughts.add("think>\n\nFo") == [(False, "Fo")]
    assert thoughts.add("ur < 5") == [(False, "ur < 5")]
