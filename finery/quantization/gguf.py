"""The merged model as one GGUF file."""

from pathlib import Path

from finery.models.gguf.convert import convert
from finery.models.gguf.library import TYPES, find_library, requantize
from finery.models.settings import CONFIG, GGUF, read_settings
from finery.params.quantize import GgufParams


def quantize_to_gguf(model: Path, params: GgufParams, out: Path, work: Path) -> None:
    """Write model.gguf and the config.json it is read by to `out`.

    What llama.cpp's library makes is made from a file in `work`, in the model's own precision,
    which is removed. Raises `GgufError` before any time is spent if it cannot be.
    """
    if params.type not in TYPES:
        convert(model, out / GGUF, params.type)
    else:
        find_library(params.type)
        config = read_settings(model / CONFIG)
        dtype = config.get("dtype") or config.get("torch_dtype")
        exact = work / "exact.gguf"
        try:
            convert(model, exact, {"bfloat16": "bf16", "float16": "f16"}.get(dtype, "f32"))
            requantize(exact, out / GGUF, params.type)
        finally:
            exact.unlink(missing_ok=True)
    (out / CONFIG).write_bytes((model / CONFIG).read_bytes())
