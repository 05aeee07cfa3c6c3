from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finery.data.statistics import describe, histogram
from finery.data.tokenizing import FACTS


def facts(*rows: tuple[int, int, bool]) -> np.ndarray:
    return np.array([(0, 0, *row) for row in rows], FACTS)


def test_the_numbers():
    rows = [(tokens, 1, tokens == 40) for tokens in (10, 20, 30, 40)]
    assert describe(facts(*rows)) == {
        "samples": 4, "tokens": 100, "trained_tokens": 4, "trained_share": 0.04, "cut": 1,
        "mean": 25.0, "median": 20, "p95": 30, "longest": 40,
    }  # fmt: skip


def test_nothing_to_describe():
    assert set(describe(facts()).values()) == {0}


@pytest.mark.parametrize("lengths", [[1], [], [5, 60, 64, 64], [3] * 1000])
def test_the_picture_is_the_same_twice(tmp_path: Path, lengths: list[int]):
    drawn = {"training": np.array(lengths, np.int32), "validation": np.empty(0, np.int32)}
    for name in ("first.png", "second.png"):
        histogram(drawn, 64, tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    colours = Image.open(tmp_path / "first.png").convert("RGB").getcolors(1 << 20)
    assert colours and len(colours) > 10
