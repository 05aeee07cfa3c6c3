"""Whatever ends the quantizer's process, its reason is told; and it leaves no orphan."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
import torch

from finery.params.quantize import AwqParams, GptqParams
from finery.quantization.apart import quantize_apart
from finery.quantization.overrides import errors_in_threads
from finery.quantization.quantizer import QuantizerError

from .conftest import rewrite

TRIES = 9


def test_the_errors_of_threads_are_told_every_time():
    from gptqmodel.utils.threadx import DeviceThreadPool, _DeviceWorker

    abort, told = _DeviceWorker._abort_process, []
    with errors_in_threads(told.append):
        for n in range(TRIES):
            pool = DeviceThreadPool(devices=[torch.device("cpu")], workers={"cpu": 1})
            with pytest.raises(ZeroDivisionError):
                pool.submit("cpu", lambda n=n: n / 0).result()
            pool.shutdown()
    assert [type(error) for error in told] == [ZeroDivisionError] * TRIES
    assert _DeviceWorker._abort_process is abort


@pytest.mark.parametrize("params", [GptqParams(group_size=32), AwqParams(group_size=32)])
def test_numbers_beyond_float16_end_in_one_line(
    wide_model: Path, tmp_path: Path, rows: list[list[int]], params: GptqParams | AwqParams
):
    rewrite(wide_model, tmp_path / "model", torch.float16, up_proj=1e4, gate_proj=1e4)
    out, work, log = tmp_path / "out", tmp_path / "work", tmp_path / "log"
    with pytest.raises(QuantizerError) as error:
        quantize_apart(tmp_path / "model", params, rows, out, work, log)
    assert "\n" not in str(error.value) and not work.exists()
    if isinstance(params, GptqParams):
        assert str(error.value) == (
            "layer 1, mlp.down_proj: what comes into it is NaN or infinite; a merge.dtype of"
            " bfloat16 has more room than float16"
        )
    else:  # an exception in one of its threads
        assert re.fullmatch(
            r"GPTQModel failed in layer 1 of 2: ArithmeticError: the loss is NaN for every scale"
            rf" \(a merge\.dtype of bfloat16 has more room than float16\); its log is {log}",
            str(error.value),
        )


SCRIPT = """
import sys
from pathlib import Path
from finery.params.quantize import GptqParams
from finery.quantization.apart import quantize_apart
model, folder = map(Path, sys.argv[1:])
rows = [[1 + (7 * row + column) % 300 for column in range(500)] for row in range(4000)]
quantize_apart(
    model, GptqParams(group_size=32), rows, folder / "out", folder / "work", folder / "log"
)
"""


@pytest.fixture
def started(wide_model: Path, tmp_path: Path):
    """A process that quantizes, and the quantizer's own below it, at work."""
    command = [sys.executable, "-c", SCRIPT, str(wide_model), str(tmp_path)]
    stage = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        yield stage, at_work(stage)
    finally:
        stage.kill()
        stage.wait()


def at_work(stage: subprocess.Popen) -> psutil.Process:
    """The quantizer's process, once it has loaded what it works with."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline and stage.poll() is None:
        for child in psutil.Process(stage.pid).children():
            if child.memory_info().rss > 300e6:
                return child
        time.sleep(0.1)
    raise AssertionError("it never came to work")


def test_a_killed_stage_leaves_no_quantizer(started):
    stage, quantizer = started
    os.kill(stage.pid, signal.SIGKILL)
    stage.wait()
    psutil.wait_procs([quantizer], timeout=10)
    assert not quantizer.is_running()


def test_a_killed_quantizer_is_told(started):
    stage, quantizer = started
    quantizer.kill()
    _, said = stage.communicate(timeout=60)
    last = said.strip().splitlines()[-1]
    assert "QuantizerError: killed " in last and "as the system does when memory is full" in last
