from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from finery.data.report.histogram import Histogram
from finery.errors import PipelineError


@pytest.mark.parametrize("lengths", [[1], [], [5, 60, 64, 64], [3] * 1000])
def test_the_picture_is_the_same_twice(tmp_path: Path, lengths: list[int]):
    drawn = {"training": np.array(lengths, np.int32), "validation": np.empty(0, np.int32)}
    for name in ("first.png", "second.png"):
        Histogram().draw(drawn, 64, tmp_path / name)
    assert (tmp_path / "first.png").read_bytes() == (tmp_path / "second.png").read_bytes()
    colours = Image.open(tmp_path / "first.png").convert("RGB").getcolors(1 << 20)
    assert colours and len(colours) > 10


def test_it_ends_when_nobody_wants_it():
    histogram = Histogram()
    assert histogram._process.stdin
    histogram._process.stdin.close()
    assert histogram._process.wait(timeout=60) == 0


def test_it_was_killed(tmp_path: Path):
    histogram = Histogram()
    histogram._process.kill()
    with pytest.raises(PipelineError, match="could not be drawn"):
        histogram.draw({"training": np.array([1])}, 64, tmp_path / "plot.png")
    assert not (tmp_path / "plot.png").exists()
