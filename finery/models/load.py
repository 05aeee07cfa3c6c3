"""Load a model folder: safetensors only, from its files alone, its own code only if allowed."""

import logging
import os
import re
import warnings
from pathlib import Path
from typing import Any

from finery import lineage
from finery.models.seeing import sees

BF16 = re.compile(r"\b(avx512_bf16|amx_bf16|bf16)\b")
"""What /proc/cpuinfo calls them."""
CPU_DTYPE = "float32"
"""Half precision on a CPU is emulated: slower than single, and no more exact."""


def load_model(model: Path, dtype: str, **settings: Any) -> Any:
    """A causal language model in evaluation mode, on the CPU. `dtype` is torch's name of it.

    One that reads images comes with all that it sees by.

    `settings` are transformers', such as those in the place of what config.json says.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText

    kind = AutoModelForImageTextToText if sees(model) else AutoModelForCausalLM
    return kind.from_pretrained(
        model,
        dtype=getattr(torch, dtype),
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=lineage.trusts_remote_code(model),
        **settings,
    )


def device() -> str:
    """The device to work on: the first GPU if there is one, otherwise the CPU."""
    import torch

    return "cuda:0" if torch.cuda.is_available() else "cpu"


def compute_dtype() -> str:
    """The type to compute in here: bfloat16 where the GPU has it, float16 on older ones."""
    import torch

    if not torch.cuda.is_available():
        return CPU_DTYPE
    native = torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if native else "float16"


def cpu_has_bf16() -> bool:
    """Whether this CPU has instructions for bfloat16 (AVX-512 BF16, AMX, or those of ARM)."""
    facts = Path("/proc/cpuinfo")
    return facts.is_file() and bool(BF16.search(facts.read_text()))


def be_quiet() -> None:
    """Keep the libraries' warnings and bars for loading out of a stage's output."""
    import transformers
    from logbar import LogBar

    LogBar.shared().setLevel("ERROR")  # GPTQModel greets whoever imports PEFT
    for noisy in ("torchao", "torch.utils._pytree"):
        logging.getLogger(noisy).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", category=FutureWarning)
    warnings.filterwarnings("ignore", "Setuptools is replacing distutils")
    os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
