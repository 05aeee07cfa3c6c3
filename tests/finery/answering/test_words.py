"""Words while tokens come: nothing is split, nothing is lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models
from tokenizers.pre_tokenizers import ByteLevel

from finery.answering.words import WINDOW, Words

BYTES = Tokenizer(models.BPE({f"<0x{n:02X}>": n for n in range(256)}, []))
BYTES.decoder = decoders.Sequence([decoders.ByteFallback(), decoders.Fuse()])
"""A token for each byte, as models without an emoji in their vocabulary write one."""
LEVEL = Tokenizer(models.BPE({c: n for n, c in enumerate(sorted(ByteLevel.alphabet()))}, []))
LEVEL.pre_tokenizer, LEVEL.decoder = ByteLevel(add_prefix_space=False), decoders.ByteLevel()
"""The same in the way of GPT-2."""
TEXT = "Über 你好, 👩‍👧 and é; "


def tokens(text: str, tokenizer: Tokenizer) -> list[int]:
    return list(text.encode()) if tokenizer is BYTES else tokenizer.encode(text).ids


def pieces(text: str, stop: tuple[str, ...] = (), tokenizer: Tokenizer = LEVEL) -> list[str]:
    words = Words(tokenizer.decode, stop)
    return [*map(words.add, tokens(text, tokenizer)), words.end()]


both = pytest.mark.parametrize("tokenizer", [BYTES, LEVEL], ids=["fallback", "level"])


@both
def test_characters_come_whole_and_in_their_order(tokenizer: Tokenizer) -> None:
    found = pieces(TEXT, (), tokenizer)
    assert "".join(found) == TEXT.strip()
    assert " 你" in found and " 👩" in found and "👧" in found
    assert "\ufffd" not in "".join(found)


@both
@settings(max_examples=100, deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=120))
def test_put_together_it_is_the_text(tokenizer: Tokenizer, text: str) -> None:
    assert "".join(pieces(text, (), tokenizer)) == text.strip()


@both
def test_long_answers_are_not_decoded_from_the_start_each_time(tokenizer: Tokenizer) -> None:
    sizes = []

    def decode(ids: list[int]) -> str:
        sizes.append(len(ids))
        return tokenizer.decode(ids)

    words = Words(decode)
    said = "".join([*map(words.add, tokens(TEXT * 40, tokenizer)), words.end()])
    assert said == (TEXT * 40).strip()
    assert max(sizes) <= WINDOW + 4


def test_bytes_of_no_character_are_said_in_the_end() -> None:
    words = Words(LEVEL.decode)
    a, first, second, b = (tokens(each, LEVEL) for each in "aü你b")
    said = [words.add(token) for token in (*a, first[0], *second[:2], *b)]
    assert said == ["a", "", "", "", "\ufffd\ufffdb"]
    assert words.add(first[0]) + words.end() == "\ufffd"


@pytest.mark.parametrize(
    ("stop", "said"),
    [
        (("###",), "One. Two."),
        (("Two",), "One."),
        (("nowhere", "Two."), "One."),
        (("\n",), "One. Two."),
        (("O",), ""),
        (("",), "One. Two. \n### three"),
        (("## !",), "One. Two. \n### three"),
    ],
)
def test_a_stop_text_and_all_behind_it_is_not_said(stop: tuple[str, ...], said: str) -> None:
    assert "".join(pieces("  One. Two. \n### three \n", stop)) == said


@settings(max_examples=200, deadline=None)
@given(st.text("ab ", max_size=30), st.lists(st.text("ab", min_size=1, max_size=4), max_size=2))
def test_stop_texts_are_found_wherever_the_tokens_end(text: str, stops: list[str]) -> None:
    begun = text.lstrip()
    found = [(begun.find(stop), len(stop)) for stop in stops if stop in begun]
    first = min((place + size for place, size in found), default=None)
    ends = [place for place, size in found if place + size == first]
    assert "".join(pieces(text, tuple(stops))) == begun[: min(ends, default=None)].rstrip()
