"""The page: one file, small, the same every time, and what models say is text in it."""

import re
import string
from html.parser import HTMLParser
from pathlib import Path

import pytest

from finery.comparison.page import LIMIT, html, markdown, report
from finery.comparison.variants import read_variants
from finery.comparison.words import WORDS

from .made import ANSWERS, evaluation, evaluations, sample

TAGS = {
    "html", "head", "meta", "title", "style", "body", "main", "h1", "h2", "h3", "p", "ul", "li",
    "div", "table", "thead", "tbody", "tr", "th", "td", "small", "details", "summary", "article",
    "strong", "mark", "svg", "g", "defs", "path", "use", "text",
}  # fmt: skip
HOSTILE = [
    "<script>alert(1)</script><img src=x onerror=alert(1)>",
    "</p></article></details></body><iframe src='//evil.example'></iframe>",
    '" onmouseover="alert(1)" x="{{ 6173 * 2 }}{% raw %}',
    "<svg/onload=alert(1)>&lt;b&gt;&#x3C;i&#x3E;<!-- ]]> --><style>*{display:none}</style>",
    "\u202eevil\u202c \x00\x08 \ud800".encode("utf-8", "replace").decode(),
]


class Elements(HTMLParser):
    """The tags, attributes and text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()
        self.links: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data):
        self.text += data


def compared(folder: Path):
    return report(read_variants(list(ANSWERS), folder / "evaluate", folder / "samples"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory):
    folder = tmp_path_factory.mktemp("made")
    evaluations(folder, 3)
    return compared(folder)


@pytest.mark.parametrize("language", WORDS)
def test_one_file_that_needs_nothing_else(made, language: str):
    page = html(made, language)
    found = Elements(page)
    assert found.tags <= TAGS and not any(name.startswith("on") for name in found.attributes)
    assert all(link.startswith("#") for link in found.links) and "url(" not in page
    assert "default-src 'none'" in page and "prefers-color-scheme: dark" in page
    assert 'name="viewport" content="width=device-width' in page
    assert f'<html lang="{language}">' in page and len(page.encode()) < LIMIT
    assert html(made, language) == page, "the same bytes every time"
    assert "75.0 %" in found.text and "−25.0 pp" in found.text
    identifiers = re.findall(r' id="([^"]+)"', page)
    assert set(re.findall(r'href="#([^"]+)"', page)) <= set(identifiers)


def test_what_models_say_is_shown_as_text(tmp_path: Path):
    for name in ANSWERS:
        wrong = name == "awq"
        made = [
            sample(n, text + " awq" * wrong, "x", keyword_match=float(not wrong), question=text)
            for n, text in enumerate(HOSTILE)
        ]
        evaluation(tmp_path, name, made)
    page = html(compared(tmp_path), "en")
    found = Elements(page)
    assert found.tags <= TAGS and not any(name.startswith("on") for name in found.attributes)
    for text in HOSTILE[:4]:
        assert found.text.count(text) >= 2, "the question, and what was answered"
    assert "12346" not in found.text and not re.search("[\u202e\x00\x08]", page)
    assert "evil" not in markdown(compared(tmp_path), "en")


def test_long_answers_keep_the_page_small(tmp_path: Path):
    long = "".join(f"<{n}&" for n in range(1000))
    for name in ANSWERS:
        good = name == "merged"
        made = [
            sample(n, long + name, long, keyword_match=float(good), question=f"{n} {long}")
            for n in range(400)
        ]
        evaluation(tmp_path, name, made)
    page = html(compared(tmp_path), "en")
    assert len(page.encode()) < LIMIT
    assert "of 400." in page and "400 became worse" in page


def test_one_model_alone_is_a_page_too(tmp_path: Path):
    evaluations(tmp_path)
    found = report(read_variants(["merged"], tmp_path / "evaluate", tmp_path / "samples"))
    assert "nothing to compare it with" in html(found, "en")
    assert "| merged |" in markdown(found, "en")


def test_markdown_is_a_table_of_the_models_and_of_the_differences(made):
    text = markdown(made, "en")
    assert "- merged against base: better in 2, worse in 0 of 4 numbers; no difference" in text
    rows = [line for line in text.splitlines() if line.startswith("| merged |")]
    assert len(rows) == 3 and "75.0 % [46.8, 91.1]" in rows[0]
    assert "| keyword_match | −25.0 pp [−50.0, 0.0] | no difference shown, p = 0.2" in text
    assert "0 became better, 3 became worse." in text


def test_the_languages_say_the_same_things():
    (_, first), *others = WORDS.items()
    for language, said in others:
        assert list(said) == list(first), language
        assert {key: fields(text) for key, text in said.items()} == {
            key: fields(text) for key, text in first.items()
        }
        assert all(said.values()) and said["title"] != first["title"]


def fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name}
