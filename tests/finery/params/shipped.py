"""The shipped params.yaml with edits, and what is said of it."""

from pathlib import Path

import pytest

from finery.params.schema import ParamsError, load

ROOT = Path(__file__).resolve().parents[3]
SHIPPED = (ROOT / "params.yaml").read_text()
OWN = "data: [identity, handbook]"


def problems(file: Path, *edits: tuple[str, str]) -> list[str]:
    """What is said of the shipped params.yaml after some edits; {LINE} stands for the first's."""
    text = SHIPPED
    for old, new in edits:
        assert old in text, f"params.yaml has no {old!r} any more"
        text = text.replace(old, new, 1)
    file.write_text(text)
    with pytest.raises(ParamsError) as caught:
        load(file)
    assert str(caught.value).splitlines() == caught.value.problems
    return caught.value.problems


def line_of(text: str) -> int:
    return SHIPPED[: SHIPPED.index(text)].count("\n") + 1
