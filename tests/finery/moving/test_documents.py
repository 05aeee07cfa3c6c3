"""docs/from-llamafactory: its table is the import's, its commands are there, in both languages."""

import re
from pathlib import Path

import pytest
import typer

from finery.cli import app
from finery.moving.llamafactory.files.reading import OLD
from finery.moving.llamafactory.keys.draft import LEFT, NOTED
from finery.moving.llamafactory.keys.table import ROWS, reason_rows

DOCS = Path(__file__).resolve().parents[3] / "docs"
PAGES = ("from-llamafactory.md", "from-llamafactory.zh.md")
NAMES = [f"| `{earlier}` | `{now}` |" for earlier, now in OLD.items()]
TABLE = [*(row.row for row in ROWS), *reason_rows(NOTED), *reason_rows(LEFT), *NAMES]
COMMAND = re.compile(r"\bfinery ([a-z][a-z ]*[a-z])((?: --[a-z-]+)*)")


def cells(page: str) -> list[list[str]]:
    """Of the tables below the last heading of the second level."""
    text = (DOCS / page).read_text("utf-8").rpartition("\n## ")[2]
    lines = [line for line in text.splitlines() if line.startswith("| `")]
    return [line.strip("| ").split(" | ") for line in lines]


def test_the_table_is_that_of_the_import() -> None:
    text = (DOCS / PAGES[0]).read_text("utf-8").rpartition("\n## ")[2]
    assert [line for line in text.splitlines() if line.startswith("| `")] == TABLE


def test_both_languages_say_the_same_of_the_same_arguments() -> None:
    english, chinese = map(cells, PAGES)
    assert [row[0] for row in chinese] == [row[0] for row in english]
    settings = len(ROWS)
    assert [row[1] for row in chinese[:settings]] == [row[1] for row in english[:settings]]
    assert all(
        bool(a[-1].strip()) == bool(b[-1].strip()) for a, b in zip(chinese, english, strict=True)
    )


def test_both_languages_have_the_same_commands_and_parts() -> None:
    english, chinese = ((DOCS / page).read_text("utf-8") for page in PAGES)
    blocks = [re.findall(r"```.*?```", text, re.DOTALL) for text in (english, chinese)]
    assert blocks[0] == blocks[1]
    levels = [re.findall(r"^#+ ", text, re.MULTILINE) for text in (english, chinese)]
    assert levels[0] == levels[1]
    named = [set(COMMAND.findall(text)) for text in (english, chinese)]
    assert named[0] == named[1]


@pytest.mark.parametrize("page", PAGES)
def test_every_command_that_is_named_is_there(page: str) -> None:
    program = typer.main.get_command(app)
    for words, _ in COMMAND.findall((DOCS / page).read_text("utf-8")):
        name, _, rest = words.partition(" ")
        assert name in program.commands, words
        if name == "import":
            assert rest.partition(" ")[0] in ("", *program.commands[name].commands), words
