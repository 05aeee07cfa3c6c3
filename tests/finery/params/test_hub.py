"""Licences and languages as the hub knows them; what it does not know names the nearest."""

import subprocess
import sys

import pytest
from iso639 import ALL_LANGUAGES

from finery.params.hub import TWO_LETTERS, known_language, known_license


@pytest.mark.parametrize(
    "given, known",
    [
        ("apache-2.0", "apache-2.0"),
        ("Apache-2.0", "apache-2.0"),
        ("MIT", "mit"),
        ("other", "other"),
    ],
)
def test_a_licence_of_the_hub(given: str, known: str):
    assert known_license(given) == known


@pytest.mark.parametrize(
    "given, nearest",
    [
        ("apache2", "apache-2.0"),
        ("Apache License 2.0", "apache-2.0"),
        ("gpl-3.0-or-later", "gpl-3.0"),
        ("Llama 3.1", "llama3.1"),
        ("mit license", "mit"),
        ("cc-by-4", "cc-by-4.0"),
    ],
)
def test_the_nearest_licence(given: str, nearest: str):
    with pytest.raises(ValueError) as caught:
        known_license(given)
    assert str(caught.value) == (
        f'the hub knows no licence "{given}"; did you mean {nearest}? What it does not list is'
        " `other`, with license_name and license_link"
    )


@pytest.mark.parametrize("given", ["proprietary", "qwen", ""])
def test_a_licence_like_none(given: str):
    with pytest.raises(ValueError, match=f'no licence "{given}"; what it does not list is `other`'):
        known_license(given)


@pytest.mark.parametrize(
    "given", ["en", "EN", "zh", "no", "yue", "cmn", "eng", "tlh", "multilingual", "code"]
)
def test_a_language(given: str):
    assert known_language(given) == given.lower()


@pytest.mark.parametrize(
    "given, nearest",
    [
        ("english", "en"),
        ("German", "de"),
        ("Germann", "de"),
        ("zh-CN", "zh"),
        ("pt_BR", "pt"),
        ("ger", "de"),
        ("jp", "ja"),
        ("cz", "cs"),
        ("Klingon", "tlh"),
    ],
)
def test_the_nearest_language(given: str, nearest: str):
    with pytest.raises(ValueError) as caught:
        known_language(given)
    assert str(caught.value) == (
        f'"{given}" is no language code of ISO 639; did you mean {nearest}?'
    )


@pytest.mark.parametrize("given", ["xx", "", "zzz"])
def test_a_language_like_none(given: str):
    with pytest.raises(
        ValueError, match=f'"{given}" is no language code of ISO 639; they are like'
    ):
        known_language(given)


def test_the_two_letters_are_those_of_the_standard():
    assert TWO_LETTERS.split() == sorted(each.part1 for each in ALL_LANGUAGES if each.part1)


def test_two_letters_load_no_library():
    code = "import sys; from finery.params.hub import known_language; known_language('zh');"
    code += "print('iso639' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stdout == "False\n", done.stderr
