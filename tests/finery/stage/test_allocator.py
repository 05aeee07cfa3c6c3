"""What is freed goes back to the system, once that is asked for."""

import platform
import subprocess
import sys

import pytest

SIZE, COUNT = 4 << 20, 40
FREED = f"""
import psutil, torch
from finery.stage.allocator import give_back_at_once
torch.ones({4 * SIZE} // 4)  # freed: what is smaller comes from the heap now
give_back_at_once()
memory = psutil.Process().memory_info
tensors = [torch.ones({SIZE} // 4) for _ in range({COUNT})]
full = memory().rss
tensors = tensors[::2]
print(full - memory().rss)
"""
"""Every second tensor is kept: in a heap, those between would leave holes and no room."""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a switch of glibc's")
def test_freed_tensors_go_back_at_once() -> None:
    """In a process of its own: the switch is the process's, and so are the holes in its heap."""
    said = subprocess.run(
        [sys.executable, "-c", FREED], capture_output=True, text=True, check=True, timeout=120
    )
    assert int(said.stdout) > 0.9 * SIZE * COUNT / 2
