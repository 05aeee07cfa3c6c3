"""What is freed goes back to the system, once that is asked for."""

import platform

import psutil
import pytest
import torch

from finery.stage.allocator import INITIAL, M_MMAP_THRESHOLD, give_back_at_once

SIZE, COUNT = 4 << 20, 40


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a switch of glibc's")
def test_freed_tensors_go_back_at_once() -> None:
    """Every second tensor is kept: in a heap, those between would leave holes and no room."""
    assert (M_MMAP_THRESHOLD, INITIAL) == (-3, 128 << 10)
    give_back_at_once()
    process = psutil.Process()
    tensors = [torch.ones(SIZE // 4) for _ in range(COUNT)]
    full = process.memory_info().rss
    tensors = tensors[::2]
    assert full - process.memory_info().rss > 0.9 * SIZE * COUNT / 2
    assert len(tensors) == COUNT // 2
