"""What CONTRIBUTING asks of each method and each tuner is there: see test_dependencies too."""

from pathlib import Path

import pytest

from tests.architecture.code import CHOICES

ROOT = Path(__file__).resolve().parents[2]
EACH = [(choice, value) for choice, values in CHOICES.items() for value in values]


@pytest.mark.parametrize(("choice", "value"), EACH)
def test_each_has_a_row_in_the_docs(choice: str, value: str) -> None:
    docs = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    assert f"\n| `{value}` | " in docs


@pytest.mark.parametrize(("choice", "value"), EACH)
def test_each_has_a_test_of_its_own_or_with_its_like(choice: str, value: str) -> None:
    folder = ROOT / "tests/finery/training" / choice
    tests = sorted(folder.glob("test_*.py"))
    named = [file for file in tests if f'"{value}"' in file.read_text(encoding="utf-8")]
    assert named or folder / f"test_{value}.py" in tests


def test_contributing_names_the_files_of_both() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    for choice in CHOICES:
        for place in ("finery/params", "finery/training"):
            assert f"`{place}/{choice}/NAME.py`" in text
        assert f"`tests/finery/training/{choice}/" in text
    assert text.count("a row in docs/training.md") >= len(CHOICES)
