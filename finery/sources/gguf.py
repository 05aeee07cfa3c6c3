"""From a quantized GGUF file to a model folder in bfloat16, with transformers' own reader."""

import functools
import json
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from finery.sources.errors import SourceError

# What transformers writes down about where and how it loaded: noise, and untrue elsewhere.
NOISE = {
    "config.json": ("_model_name_or_path",),
    "tokenizer_config.json": ("is_local", "local_files_only"),
}
TOKEN_IDS = ("bos_token_id", "eos_token_id", "pad_token_id")


def dequantize(file: Path, base: Path) -> None:
    """Write the model of a GGUF file into the folder `base` as safetensors, and its tokenizer.

    Raises `SourceError` if transformers does not read this architecture or quantization.
    Format: github.com/ggml-org/ggml/blob/master/docs/gguf.md.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

    folder, name = str(file.parent), file.name
    try:
        with _remembering():
            model = AutoModelForCausalLM.from_pretrained(
                folder,
                gguf_file=name,
                dtype=torch.bfloat16,
                quantization_config=GgufConfig(dequantize=True),
            )
            tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
            _split_digits(tokenizer, file)
    except (ValueError, LookupError, TypeError, RuntimeError, struct.error) as error:
        cause = next(iter(str(error).splitlines()), type(error).__name__)
        raise SourceError(
            f"{name}: transformers cannot read it ({cause}); choose a source with safetensors"
        ) from error
    tokenizer.model_max_length = getattr(
        model.config, "max_position_embeddings", tokenizer.model_max_length
    )
    model.save_pretrained(base)
    tokenizer.save_pretrained(base)
    _tidy(base)


def _split_digits(tokenizer: Any, file: Path) -> None:
    """Give SmolLM its digit splitter: GGUF only names it, and transformers reads past the name."""
    import gguf
    from tokenizers.pre_tokenizers import ByteLevel, Digits, Sequence

    kind = gguf.GGUFReader(file).get_field("tokenizer.ggml.pre")
    if kind is not None and kind.contents() == "smollm":
        splitters = [Digits(individual_digits=True), ByteLevel(add_prefix_space=False)]
        tokenizer.backend_tokenizer.pre_tokenizer = Sequence(splitters)


@contextmanager
def _remembering() -> Iterator[None]:
    """Let transformers parse the file once, and not once each for config, weights and tokenizer.

    It also builds the same map of tensor names for each submodule. Together that was half of the
    time: both are pure Python, and neither result is ever changed.
    """
    import gguf

    slow = ("GGUFReader", "get_tensor_name_map")
    originals = {name: getattr(gguf, name) for name in slow}
    for name, original in originals.items():
        setattr(gguf, name, functools.cache(original))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(gguf, name, original)


def _tidy(base: Path) -> None:
    for name, keys in NOISE.items():
        values = json.loads((base / name).read_text(encoding="utf-8"))
        _write(base / name, {key: value for key, value in values.items() if key not in keys})
    # The one saved is guessed from the model's configuration and says so.
    config = json.loads((base / "config.json").read_text(encoding="utf-8"))
    token_ids = {key: config[key] for key in TOKEN_IDS if config.get(key) is not None}
    _write(base / "generation_config.json", token_ids)
    for file in base.iterdir():
        if file.is_file():
            file.chmod(0o644)  # transformers keeps weights from everybody else


def _write(file: Path, values: dict) -> None:
    text = json.dumps(values, indent=2, sort_keys=True, ensure_ascii=False)
    file.write_text(text + "\n", encoding="utf-8")
