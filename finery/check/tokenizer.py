"""Whether a tokenizer is one that knows where its tokens are in a text, and fits the embedding."""

from pathlib import Path
from typing import Any

from finery.check.facts import Model
from finery.check.library import runs_in_python, tokenizers
from finery.models.settings import TOKENIZER, read_settings
from finery.models.tokens import Tokens

SERIALIZED = "tokenizer.json"
OLD_FORMATS = {
    "sentencepiece": "*.model",
    "tiktoken": "*.tiktoken",
    "mistral-common": "tekken.json",
}
LISTS = ({"vocab.json", "merges.txt"}, {"vocab.txt"})
"""Files that transformers makes a fast tokenizer of by itself."""
PLAIN = {"TokenizersBackend", "PreTrainedTokenizerFast", "MistralCommonBackend"}
CONVERT = (
    "make a tokenizer.json of it with AutoTokenizer.from_pretrained(...).save_pretrained(...)"
    " where {library} is installed, or choose a model that has one"
)


def tokenizer_problems(model: Model, tokens: Tokens, trusted: bool) -> list[str]:
    """Why the tokenizer of a folder cannot be used; `trusted`: code that comes with it may run."""
    problems = [*_class_problems(model, trusted), *_ids(model, tokens)]
    return [f"tokenizer: {problem}" for problem in problems]


def own_code(model: Model) -> str | None:
    """The class that comes with the model for its tokenizer, as MODULE.CLASS; None if none does."""
    named = read_settings(model.folder / TOKENIZER).get("auto_map")
    named = named.get("AutoTokenizer") if isinstance(named, dict) else named
    if isinstance(named, str):
        return named
    return next((each for each in reversed(named or []) if each), None)


def _class_problems(model: Model, trusted: bool) -> list[str]:
    name = _class(model)
    if own := own_code(model):
        if trusted:  # download runs it to see what it is
            return []
        if model.kind not in tokenizers() and not _known(name):
            code = own.rpartition("--")[2].partition(".")[0]
            return [
                f"needs code that comes with the model ({code}.py); read it, then set"
                " model.trust_remote_code: true, or choose another model"
            ]
    if runs := _python_class(model, name):
        return [
            f"{runs} runs in Python and does not say where in the text its tokens are;"
            " choose a model with a fast tokenizer"
        ]
    if (model.folder / SERIALIZED).is_file():
        return []
    return _without_serialized(model.folder)


def _class(model: Model) -> str:
    for config in (read_settings(model.folder / TOKENIZER), model.config):
        if isinstance(name := config.get("tokenizer_class"), str):
            return name.removesuffix("Fast")
    return tokenizers().get(model.kind, "")


def _known(name: str) -> bool:
    return name in PLAIN or f"{name}Fast" in PLAIN or runs_in_python(name) is not None


def _python_class(model: Model, name: str) -> str | None:
    """The class if it runs in Python; transformers goes past it where the type has a plain one."""
    serialized = (model.folder / SERIALIZED).is_file()
    if not name or (serialized and tokenizers().get(model.kind) in PLAIN):
        return None
    return name if runs_in_python(name) else None


def _without_serialized(folder: Path) -> list[str]:
    names = {file.name for file in folder.iterdir()} if folder.is_dir() else set()
    if any(files <= names for files in LISTS):
        return []
    for library, pattern in OLD_FORMATS.items():
        for file in sorted(folder.glob(pattern)):
            return [
                f"{file.name} alone is read by {library} only; {CONVERT.format(library=library)}"
            ]
    return [f"no {SERIALIZED} is there; add the tokenizer of the model that it was made from"]


def _ids(model: Model, tokens: Tokens) -> list[str]:
    """An embedding may be padded; a token without a row ends in an index error, or in garbage."""
    tables: Any = model.embeddings
    if not tables or not tokens.size:
        return []
    name = min(tables, key=tables.__getitem__)
    rows = tables[name]
    if tokens.size <= rows:
        return []
    return [
        f"{tokens.size} tokens, but {name} has {rows} rows: {tokens.last!r} has the id"
        f" {tokens.size - 1}; take the tokens added last out of the tokenizer's files, or choose"
        " a model whose embedding has them"
    ]
