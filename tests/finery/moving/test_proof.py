"""Tokens of two beside each other: what is equal, and in what words the rest differs."""

from pathlib import Path

import pytest

from finery.moving.llamafactory.files.given import MovingError
from finery.moving.llamafactory.proof.compared import EQUAL, Tokens, differences
from finery.moving.llamafactory.proof.environment import NAMED, python


def tokens(text: str, learnt: str) -> list[Tokens]:
    """Letters as tokens; those that the loss counts are in capitals in `learnt`."""
    ids = [ord(letter) for letter in text]
    flags = [letter.isupper() or letter == "!" for letter in learnt]
    return [(ids, [i if flag else -100 for i, flag in zip(ids, flags, strict=True)])]


def text(ids: list[int]) -> str:
    return "".join(map(chr, ids))


@pytest.mark.parametrize(
    ("mine", "theirs", "said"),
    [
        (("abcd", "abCD"), ("abcd", "abCD"), EQUAL),
        (("abc.", "aBC."), ("abc.", "aBC!"), "LLaMA-Factory also trains on '.'"),
        (("abcd", "aBCd"), ("abcd", "abcd"), "Finery also trains on 'bc'"),
        (("abcd", "aBCD"), ("abcd", "ABCD"), EQUAL),
        (("abcd", "abcD"), ("ab.cd", "ab.cD"),
         "behind 'ab' nothing here, '.' in LLaMA-Factory"),
        (("abcd", "abcD"), ("ab.cd", "ab.CD"),
         "behind 'ab' nothing here, '.' in LLaMA-Factory; LLaMA-Factory also trains on 'c'"),
        (("abxcd", "abxcD"), ("abyzcd", "abyzcD"), "behind 'ab' 'x' here, 'yz' in LLaMA-Factory"),
    ],
)  # fmt: skip
def test_what_differs_is_said(mine: tuple, theirs: tuple, said: str) -> None:
    (found,) = differences([(7, tokens(*mine))], [tokens(*theirs)], text)
    assert (found.said, found.rows) == (said, (7,))


def test_the_same_difference_is_said_once_with_its_rows() -> None:
    ours = [(n, tokens(f"{n}ab", "xxB")) for n in range(1, 6)]
    theirs = [tokens(f"{n}ab", "xxB" if n == 2 else "xAB") for n in range(1, 6)]
    first, second = differences(ours, theirs, text)
    assert (first.said, first.rows) == ("LLaMA-Factory also trains on 'a'", (1, 3, 4, 5))
    assert (second.said, second.rows) == (EQUAL, (2,))


def test_rows_that_the_other_leaves_out_are_named() -> None:
    ours = [(n, tokens(f"{n}ab", "xxB")) for n in range(1, 5)]
    theirs = [tokens(f"{n}ab", "xxB") for n in (1, 2, 4)]
    assert [(each.said, each.rows) for each in differences(ours, theirs, text)] == [
        (EQUAL, (1, 2, 4)), ("LLaMA-Factory leaves the row out", (3,)),
    ]  # fmt: skip


def test_of_two_answers_both_are_compared() -> None:
    mine = [*tokens("abc", "abC"), *tokens("abd", "abD")]
    other = [*tokens("abc", "abC"), *tokens("abd", "aBD")]
    (found,) = differences([(1, mine)], [other], text)
    assert found.said == "LLaMA-Factory also trains on 'b'"


def test_the_same_text_in_other_tokens_is_said() -> None:
    def joined(ids: list[int]) -> str:
        return "".join({1: "a", 2: "b", 3: "ab"}[i] for i in ids)

    (found,) = differences([(1, [([1, 2], [1, 2])])], [[([3], [3])]], joined)
    assert found.said.startswith("the same text in other tokens")


def test_an_environment_that_is_none_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(NAMED, str(tmp_path))
    with pytest.raises(MovingError, match=rf"{NAMED}: {tmp_path} has no bin/python"):
        python(print)
