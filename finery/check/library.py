"""What the installed transformers knows, read from its source: importing it takes seconds."""

import re
from functools import cache
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path

ENTRY = re.compile(r'\(\s*"([^"]+)",\s*\(?\s*"([^"]+)"')
PYTHON = {"PreTrainedTokenizer", "PythonBackend", "SentencePieceBackend"}
"""Classes of tokenizers that run in Python, and know no offsets."""


@cache
def mapping(module: str, name: str) -> dict[str, str]:
    """A table of `transformers.models.auto`: classes by model type."""
    table = re.search(
        rf"^{name}\b[^\n]*OrderedDict[^\n]*\(\n(.*?)^\)", _source(module), re.M | re.S
    )
    return dict(ENTRY.findall(table[1])) if table else {}


def causal_models() -> dict[str, str]:
    """The class that AutoModelForCausalLM takes for a model type."""
    return mapping("modeling_auto", "MODEL_FOR_CAUSAL_LM_MAPPING_NAMES")


def image_models() -> dict[str, str]:
    """The class that AutoModelForImageTextToText takes: of models that write about images."""
    return mapping("modeling_auto", "MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING_NAMES")


def masked_models() -> dict[str, str]:
    """The class that AutoModelForMaskedLM takes: of models that look both ways."""
    return mapping("modeling_auto", "MODEL_FOR_MASKED_LM_MAPPING_NAMES")


def tokenizers() -> dict[str, str]:
    """The class that AutoTokenizer takes for a model type, unless the tokenizer names one."""
    misnamed = re.search(
        r"^MODELS_WITH_INCORRECT_HUB_TOKENIZER_CLASS\b[^{]*\{(.*?)\}",
        _source("tokenization_auto"),
        re.M | re.S,
    )
    plain = re.findall('"([^"]+)"', misnamed[1]) if misnamed else []
    return dict.fromkeys(plain, "TokenizersBackend") | mapping(
        "tokenization_auto", "TOKENIZER_MAPPING_NAMES"
    )


@cache
def runs_in_python(tokenizer: str) -> bool | None:
    """Whether a class of tokenizers is one without offsets; None if there is no such class."""
    defined = re.compile(rf"^class {re.escape(tokenizer)}\((\w+)", re.M)
    for file in (_folder() / "models").glob("*/tokenization_*.py"):
        if found := defined.search(file.read_text(encoding="utf-8")):
            return found[1] in PYTHON
    return None


def release() -> str:
    return version("transformers")


@cache
def _source(module: str) -> str:
    return (_folder() / "models/auto" / f"{module}.py").read_text(encoding="utf-8")


def _folder() -> Path:
    spec = find_spec("transformers")
    assert spec and spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0])
