"""A llama.cpp library, libllama.so: it makes the types of weights that the converter does not.

PyPI has none with the function; builds of llama.cpp do, and npm's @node-llama-cpp/linux-x64.
"""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

from finery.models.gguf.errors import GgufError
from finery.stage.leash import hold

VARIABLE = "FINERY_LLAMA_LIB"
TYPES = {"q4_k_m": 15, "q5_k_m": 17, "q6_k": 18}
"""`enum llama_ftype` of llama.h."""
LONGEST = 300  # characters of a reason


class _Settings(ctypes.Structure):
    """`llama_model_quantize_params`: its first fields, and more room than any version needs.

    A struct of this size is handed over in memory, so that what follows may differ.
    """

    _fields_ = [("threads", ctypes.c_int32), ("type", ctypes.c_int), ("rest", ctypes.c_byte * 504)]


def find_library(type: str) -> Path:
    """The library that makes weights of a type. Raises `GgufError` if there is none."""
    named = os.environ.get(VARIABLE)
    if not named:
        raise GgufError(
            f"{type} needs a llama.cpp library; set {VARIABLE} to its libllama.so"
            " (docs/quantization.md), or take q8_0"
        )
    if not Path(named).is_file():
        raise GgufError(f"{VARIABLE}: {named}: no such file; name a libllama.so")
    return Path(named).resolve()


def requantize(source: Path, file: Path, type: str) -> None:
    """Write the weights of a GGUF file in full or half precision to `file` as `type`.

    `file` appears whole or not at all. Raises `GgufError` if the library is missing or fails.
    """
    part = file.with_name(f"{file.name}.part")
    job = [find_library(type), source, part, str(TYPES[type])]
    command = [sys.executable, "-m", __name__, str(os.getpid()), *job]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    try:
        if done.returncode:
            said = next(filter(None, reversed(done.stderr.splitlines())), "it did not say why")
            raise GgufError(f"{VARIABLE}: {job[0]}: {said[:LONGEST]}")
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


def main(library: str, source: str, file: str, type: str) -> int:
    """In a process of its own, which native code may end; the library writes to its stderr."""
    try:
        llama = ctypes.CDLL(library)
        defaults, quantize = llama.llama_model_quantize_default_params, llama.llama_model_quantize
    except (OSError, AttributeError) as error:
        print(f"no llama.cpp library that can quantize: {error}", file=sys.stderr)
        return 1
    defaults.restype = _Settings
    settings = defaults()
    settings.type = int(type)
    return quantize(source.encode(), file.encode(), ctypes.byref(settings))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[2:]) if hold(int(sys.argv[1])) else 1)
