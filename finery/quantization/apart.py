"""GPTQModel in a process of its own, so that whatever ends it has its reason told.

An error in one of its threads ends the process there and then, and so do a full memory and a crash
in native code. The process writes to a log, and ends with the one that started it.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import traceback
from pathlib import Path
from typing import Any, NoReturn

from finery.errors import UserError
from finery.params.quantize import AwqParams, GptqParams
from finery.quantization.endings import ending
from finery.quantization.overrides import errors_in_threads
from finery.quantization.progress import Progress
from finery.quantization.quantizer import quantize_model
from finery.stage.beside import BESIDE, without
from finery.stage.leash import hold

EVERY_SECONDS = 5.0
LONGEST = 2000  # characters: some errors hold the whole model
PARAMS = {"gptq": GptqParams, "awq": AwqParams}


def quantize_apart(
    model: Path,
    params: GptqParams | AwqParams,
    calibration: list[list[int]],
    out: Path,
    work: Path,
    log: Path,
) -> list[str]:
    """`quantize_model` in a process of its own, which writes all it says to `log`.

    Prints a line of progress a layer, and returns what that does. Raises what `ending` makes of an
    end before the work's.
    """
    format = next(name for name, kind in PARAMS.items() if isinstance(params, kind))
    job = {
        "model": str(model),
        "format": format,
        "params": params.model_dump(),
        "calibration": calibration,
        "out": str(out),
        "work": str(work),
    }
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("wb") as screen:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", __name__, str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=screen,
        )
    progress = Progress(log)
    try:
        answer = _follow(process, json.dumps(job).encode(), progress)
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(work, ignore_errors=True)
    if process.returncode:
        raise ending(process.returncode, answer.decode(), progress.layer, log)
    return json.loads(answer)


def _follow(process: subprocess.Popen, job: bytes, progress: Progress) -> bytes:
    """Hand over the job, tell how far it is until it ends, and return its answer."""
    given: bytes | None = job
    while True:
        try:
            answer, _ = process.communicate(given, timeout=EVERY_SECONDS)
        except subprocess.TimeoutExpired:
            given = None
            if line := progress.advance():
                print(line, flush=True)
        else:
            progress.advance()
            return answer


def _work() -> None:
    """In the process of its own: do the job that standard input holds, or answer why not."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    if not hold(int(sys.argv[1])):
        return
    answer = os.dup(1)
    os.dup2(2, 1)

    def give_up(error: BaseException) -> NoReturn:
        traceback.print_exception(error)
        os.write(answer, json.dumps(_told(error)).encode() + b"\n")
        os._exit(error.exit_status if isinstance(error, UserError) else 1)

    try:
        with without(BESIDE):
            import gptqmodel  # noqa: F401
        job = json.loads(sys.stdin.buffer.read())
        with errors_in_threads(give_up):
            unseen = quantize_model(
                Path(job["model"]),
                PARAMS[job["format"]].model_validate(job["params"]),
                job["calibration"],
                Path(job["out"]),
                Path(job["work"]),
            )
    except BaseException as error:
        give_up(error)
    with open(answer, "w") as stream:
        json.dump(unseen, stream)
    os._exit(0)  # its threads are not waited for


def _told(error: BaseException) -> dict[str, Any]:
    """An error in words; one that has none is told by the line that raised it."""
    if isinstance(error, UserError):
        return {"known": True, "said": str(error)}
    last = traceback.extract_tb(error.__traceback__)[-1]
    words = str(error) or f"`{last.line}` in {last.name}"
    return {"known": False, "said": f"{type(error).__name__}: {words}"[:LONGEST]}


if __name__ == "__main__":
    _work()
