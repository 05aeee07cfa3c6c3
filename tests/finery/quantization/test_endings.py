"""Why a quantizer's process ended, in one line."""

import errno
import json
import signal
from pathlib import Path

import pytest

from finery.quantization.endings import UnfitError, ending
from finery.quantization.quantizer import QuantizerError

LAYER = "layer 3 of 30"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    file = tmp_path / "quantize-gptq.log"
    file.write_text("loading\n")
    return file


def told(said: str, known: bool = False) -> str:
    return json.dumps({"known": known, "said": said}) + "\n"


def test_an_error_of_a_thread_with_its_layer(log: Path):
    answer = told("ValueError: no\n  such   thing") + told("RuntimeError: because of the first")
    error = ending(1, answer, LAYER, log)
    assert (type(error), error.exit_status) == (QuantizerError, 1)
    assert str(error) == (
        f"GPTQModel failed in layer 3 of 30: ValueError: no such thing; its log is {log}"
    )


def test_an_error_before_the_first_layer_is_cut_to_a_line(log: Path):
    error = ending(1, told("RuntimeError: " + "word " * 200), None, log)
    assert str(error).startswith("GPTQModel failed before its first layer: RuntimeError: word word")
    assert len(str(error)) < 500 + len(str(log))


@pytest.mark.parametrize("said", ["assert torch.isnan(scales).sum() == 0", "Hessian has NaN."])
def test_numbers_that_are_none_name_the_type_to_take(log: Path, said: str):
    error = ending(1, told(f"AssertionError: {said}"), LAYER, log)
    assert "(a merge.dtype of bfloat16 has more room than float16); its log" in str(error)


@pytest.mark.parametrize(
    "said",
    [
        "MemoryError: ",
        "RuntimeError: [enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes",
        "OutOfMemoryError: CUDA out of memory. Tried to allocate 2 GiB",
        "OSError: [Errno 12] Cannot allocate memory",
    ],
)
def test_a_full_memory_says_what_to_do(log: Path, said: str):
    assert str(ending(1, told(said), LAYER, log)) == (
        "the memory is full in layer 3 of 30: free some, or calibrate on fewer or shorter samples"
        " (data.calibration_samples, cutoff_len)"
    )


def test_a_full_memory_in_native_code_is_in_the_log(log: Path):
    log.write_text("bars ████ 50%\rterminate called, what():  std::bad_alloc\n\n ███ \n")
    assert str(ending(-signal.SIGABRT, "", LAYER, log)).startswith("the memory is full in layer 3")


def test_a_kill_is_told_from_a_crash(log: Path):
    assert str(ending(-signal.SIGKILL, "", LAYER, log)).startswith(
        "killed in layer 3 of 30, as the system does when memory is full: free some, or calibrate"
    )
    assert str(ending(-signal.SIGSEGV, "", LAYER, log)) == (
        f"GPTQModel failed in layer 3 of 30: SIGSEGV: loading; its log is {log}"
    )
    log.write_text("")
    assert ": SIGSEGV: it did not say why; its log" in str(ending(-signal.SIGSEGV, "", LAYER, log))


@pytest.mark.parametrize("words", ["No space left on device", "Disk quota exceeded"])
def test_a_full_disk_is_the_stages_to_tell(log: Path, words: str):
    error = ending(1, told(f"OSError: [Errno 28] {words}: 'x'"), LAYER, log)
    assert isinstance(error, OSError) and error.errno == errno.ENOSPC


def test_what_finery_says_itself_stays_as_it_is(log: Path):
    unfit = ending(2, told("quantize.gptq.group_size: no", known=True), None, log)
    assert (type(unfit), str(unfit)) == (UnfitError, "quantize.gptq.group_size: no")
    failed = ending(1, told("layer 1: NaN", known=True), None, log)
    assert (type(failed), str(failed)) == (QuantizerError, "layer 1: NaN")
