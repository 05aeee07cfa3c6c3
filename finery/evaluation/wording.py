"""What a text says, in any script: its case, white space and surrounding punctuation aside."""

import unicodedata
from itertools import groupby
from typing import Literal

import regex

Reading = Literal["words", "foreign", "chinese", "characters"]
"""How a text is taken apart: words between spaces, of Latin letters or of others; Chinese; or
letter by letter."""

UNSPACED = r"\p{Han}\p{Hiragana}\p{Katakana}ー\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
"""Scripts that write no space between words."""
BY_LETTER = r"\p{Hiragana}\p{Katakana}ー\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}"
"""Japanese, Korean and others whose words take a dictionary to find that is not at hand."""
WORD = rf"[[\p{{L}}\p{{M}}\p{{N}}]--[{UNSPACED}]]"
SYMBOL = r"\p{S}*/^%٪؉&@#_\\§′-"
"""They say something wherever they stand: +5, C#, 5 %, 5′, a/b."""
OPERAND = rf"[\p{{N}}\p{{Sc}}()\[\]%]|(?<!{WORD})\p{{L}}(?!{WORD})"

INVISIBLE = regex.compile(
    r"[\u00ad\u200b\u200e\u200f\u202a-\u202e\u2060-\u2069\ufe00-\ufe0f\ufeff]"
)
LOOKALIKES = str.maketrans(
    dict.fromkeys("‘’ʼ´‛", "'")
    | dict.fromkeys("‐‑‒–−﹘﹣－", "-")
    | dict.fromkeys("—―", " — ")
    | {"〜": "~"}
)


KEPT = "|".join((
    r"(?<=\p{Nd})[.,:'٫٬](?=\p{Nd})",  # 3.5, 1,000, 10:30
    rf"(?<!\.)\.(?={WORD})",  # .NET, example.com
    rf"(?<={WORD})['·׳״־](?={WORD})",  # isn't
    rf"!(?==)|(?<![\w\p{{P}}])!(?={WORD}|\()",  # a != b, !x
    rf"(?<={WORD}|[{SYMBOL}])[(\[{{]|[)\]}}](?={WORD}|[{SYMBOL}])",  # 2*(3+4), f(x)
))  # fmt: skip
"""Punctuation that is part of a number, a word or a formula."""


def _compiled(*rules: tuple[str, str]) -> list[tuple[regex.Pattern[str], str]]:
    return [(regex.compile(pattern, regex.V1 | regex.M), new) for pattern, new in rules]


RULES = _compiled(
    # one space between two words or one line break: models that go astray write thousands
    (r"[^\S\n]+", " "),
    (r" ?\n\s*", "\n"),
    # Markdown: emphasis, headings, code
    (r"(?<![\w*--\p{Han}])(\*{1,3})(?=[^\s*])([^*\n]+)(?<=[^\s*])\1(?![\w*--\p{Han}])", r"\2"),
    (r"^ ?#{1,6}\s|`+", ""),
    (r"(\s)\s+", r"\1"),
    # "5 - 3" is "5-3", "5 %" is "5%", "$ 5" is "$5"
    (r"(?<=\S)\s(!?[[\p{Sm}/^&]--[|]]+)\s(?=\S)", r"\1"),
    (rf"(?<=^|{OPERAND}|[\p{{Sm}}/^*])\s?-\s(?=[\p{{N}}\p{{Sc}}(.])", "-"),
    (rf"(?<={OPERAND})\s([-*])\s(?={OPERAND})", r"\1"),
    (r"(?<=\p{N})\s(?=[%٪‰°]|\p{Sc}(?!\s?\p{N}))|(?<=\p{Sc})\s(?=\p{N})", ""),
    # all other punctuation, and what stands alone between two words
    (r"(?<!\S)[-*]+(?!\S)", " "),
    (rf"(?:{KEPT})(*SKIP)(*FAIL)|[\p{{P}}--[{SYMBOL}]]", " "),
    (r"\s+", " "),
    (rf" (?=[{UNSPACED}])|(?<=[{UNSPACED}]) ", ""),
)
"""From a folded text to what it says, one after another."""


def folded(text: str) -> str:
    """Letters and signs that look alike as one: case, full width, typographic quotes and dashes."""
    text = INVISIBLE.sub("", text).translate(LOOKALIKES)
    return _compatible(_compatible(text).casefold())


def plain(text: str) -> str:
    """What a text says: equal for texts that differ in case, white space and punctuation only.

    Punctuation counts where it changes what is said: inside numbers and words (3.5, isn't), as a
    sign (-5, !x, .NET), and in formulas. A text that is nothing else keeps it.
    """
    said = folded(text)
    for pattern, new in RULES:
        said = pattern.sub(new, said)
    return said.strip() or " ".join(folded(text).split())


def spoken(answer: str) -> str:
    """An answer without what it thinks first, in <think></think>; "" if the thought does not end.

    The prompt may have begun the thought.
    """
    if (end := answer.find("</think>")) >= 0:
        return answer[end + len("</think>") :].strip()
    return "" if answer.startswith("<think>") else answer


def reading(text: str) -> Reading:
    """How to take a text apart: by the script that most of it is in.

    A letter of a script without spaces counts as much as a word of one with them.
    """
    by_letter = len(regex.findall(f"[{BY_LETTER}]", text))
    han = len(regex.findall(r"\p{Han}", text))
    latin = len(regex.findall(r"\p{Latin}+", text))
    foreign = len(
        regex.findall(rf"[\p{{L}}--\p{{Latin}}--[{UNSPACED}]--\p{{Hangul}}]+", text, regex.V1)
    )
    if by_letter and by_letter + han >= latin + foreign:
        return "characters"
    if han:
        return "chinese"
    return "foreign" if foreign > latin else "words"


def words(text: str, how: Reading) -> list[str]:
    """The words of what a text says; Chinese is taken apart by jieba."""
    said = plain(text)
    if how == "characters":
        return regex.findall(rf"[{BY_LETTER}\p{{Han}}]\p{{M}}*|[^\s{BY_LETTER}\p{{Han}}]+", said)
    if how == "chinese":
        import jieba

        jieba.setLogLevel("ERROR")
        return [word for word in jieba.cut(said) if not word.isspace()]
    return regex.findall(rf"[{UNSPACED}]+|[^\s{UNSPACED}]+", said)


def _compatible(text: str) -> str:
    """NFKC, but 10⁵ does not become 105, nor 1½ 11⁄2."""
    if text.isascii():
        return text
    parts = (("".join(part), raised) for raised, part in groupby(text, _raised))
    return "".join(
        part if raised else unicodedata.normalize("NFKC", part) for part, raised in parts
    )


def _raised(letter: str) -> bool:
    return unicodedata.decomposition(letter).startswith(("<super>", "<sub>", "<fraction>"))
