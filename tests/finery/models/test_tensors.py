import struct
from pathlib import Path

import pytest

from finery.models.tensors import tensors


def test_names_and_shapes_of_all_files(tiny_model: Path):
    found = tensors(tiny_model)
    assert found["model.embed_tokens.weight"]["shape"] == [398, 64]
    assert "__metadata__" not in found


@pytest.mark.parametrize(
    "content",
    [b"", b"1234", struct.pack("<Q", 1 << 40), struct.pack("<Q", 4) + b"{{{{",
     struct.pack("<Q", 4) + b"\xff\xff\xff\xff"],
)  # fmt: skip
def test_a_damaged_header_is_left_to_the_download(tmp_path: Path, content: bytes):
    assert tensors(tmp_path / "nowhere") == {}
    (tmp_path / "model.safetensors").write_bytes(content)
    assert tensors(tmp_path) == {}
