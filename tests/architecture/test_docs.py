"""The documents speak of files that are there."""

import re
from pathlib import Path

import pytest

from tests.architecture.code import CHOICES

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
LINK = re.compile(r"\]\(([^)#\s]+)")
CODE_PATH = re.compile(r"(?<![\w./-])(?:finery|stages|flows|tests|bench)/[\w./-]+\b/?")
PLACEHOLDER = re.compile("NAME|AREA")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: str(file.relative_to(ROOT)))
def test_what_a_document_names_is_there(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    links = {link for link in LINK.findall(text) if "://" not in link}
    missing = [link for link in sorted(links) if not (document.parent / link).exists()]
    code = {path for path in CODE_PATH.findall(text) if not PLACEHOLDER.search(path)}
    missing += [path for path in sorted(code) if not (ROOT / path).exists()]
    assert missing == []


def test_the_index_of_decisions_has_them_all() -> None:
    folder = ROOT / "docs/decisions"
    listed = set(LINK.findall((folder / "README.md").read_text(encoding="utf-8")))
    assert listed == {file.name for file in folder.glob("*.md")} - {"README.md"}


def test_contributing_names_a_place_for_each_kind_of_addition() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| a ")]
    assert len(rows) >= 10
    assert all(CODE_PATH.search(row) for row in rows)


@pytest.mark.parametrize(
    ("addition", "choice"), [("a training method", "methods"), ("a tuner", "tuners")]
)
def test_each_choice_of_a_step_has_what_contributing_says(addition: str, choice: str) -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (row,) = [line for line in text.splitlines() if line.startswith(f"| {addition} |")]
    modules = [path for path in CODE_PATH.findall(row) if path.endswith("/NAME.py")]
    assert modules == [f"finery/params/{choice}/NAME.py", f"finery/training/{choice}/NAME.py"]
    assert f"`tests/finery/training/{choice}/`" in row and "docs/training.md" in row
    docs = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    tests = sorted(ROOT.glob(f"tests/finery/training/{choice}/test_*.py"))
    tested = "".join(file.read_text(encoding="utf-8") for file in tests)
    lacking = []
    for name in CHOICES[choice]:
        files = (ROOT / path.replace("NAME", name) for path in modules)
        lacking += [str(file) for file in files if not file.exists()]
        lacking += [f"a row of {name} in docs/training.md"] * (f"\n| `{name}` |" not in docs)
        lacking += [f"a test of {name}"] * (f'"{name}"' not in tested)
    assert lacking == []
