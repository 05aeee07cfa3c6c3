import struct
from pathlib import Path

import pytest

from finery.models.layer_widths import linear_widths, undivided


def test_the_widths_inside_the_blocks_and_no_others(tiny_model: Path):
    assert linear_widths(tiny_model) == {64, 128}
    assert [undivided(tiny_model, size) for size in (32, 64, 128, 48)] == [[], [], [64], [64, 128]]


@pytest.mark.parametrize(
    "content",
    [b"", b"1234", struct.pack("<Q", 1 << 40), struct.pack("<Q", 4) + b"{{{{",
     struct.pack("<Q", 4) + b"\xff\xff\xff\xff"],
)  # fmt: skip
def test_a_damaged_header_is_left_to_the_download(tmp_path: Path, content: bytes):
    assert linear_widths(tmp_path / "nowhere") == set()
    (tmp_path / "model.safetensors").write_bytes(content)
    assert linear_widths(tmp_path) == set()
