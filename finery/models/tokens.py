"""The tokens of a model folder, from its files alone: no tokenizer is built."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finery.models.settings import TOKENIZER, read_settings

SPECIAL_LISTS = ("additional_special_tokens", "extra_special_tokens")


@dataclass(frozen=True)
class Tokens:
    """What a tokenizer knows.

    - `named`: the tokens that a template may ask for by name, such as eos_token
    - `special`: the special tokens and their ids
    - `whole`: all that are never split, the special ones among them
    - `size`: one more than the largest id, that of `last`; 0 if no file says so
    """

    named: dict[str, str]
    special: dict[str, int]
    whole: dict[str, int]
    size: int
    last: str


def read_tokens(model: Path) -> Tokens:
    """The tokens as transformers numbers them: what is named but in no vocabulary comes last.

    It makes a token special by naming it, whatever the lists say. Raises `ModelFileError`.
    """
    config = read_settings(model / TOKENIZER)
    serialized = read_settings(model / "tokenizer.json")
    vocabulary = _vocabulary(serialized.get("model", {})) if serialized else _older(model)
    numbered = [token | {"id": int(i)} for i, token in _decoder(config)]
    added = list(serialized.get("added_tokens", [])) if serialized else numbered
    ids = vocabulary | {token["content"]: token["id"] for token in added}
    special = {token["content"] for token in added if token.get("special")}

    named = _named(model, config)
    called = [*named.values(), *_called_special(config)]
    more = [token["content"] for token in numbered]
    more += read_settings(model / "added_tokens.json")
    known = bool(ids)
    for word in dict.fromkeys([*more, *called]):
        if word and word not in ids and known:
            ids[word] = max(ids.values()) + 1
    special |= set(called) | {token["content"] for token in numbered if token.get("special")}
    whole = {token["content"] for token in added} | set(more) | special
    last = max(ids, key=ids.__getitem__, default="")
    return Tokens(
        named=named,
        special={word: ids[word] for word in ids if word in special},
        whole={word: ids[word] for word in ids if word in whole},
        size=ids[last] + 1 if vocabulary else 0,
        last=last,
    )


def _vocabulary(core: dict[str, Any]) -> dict[str, int]:
    """Of tokenizer.json: a mapping, or for a Unigram model a list of words and scores."""
    words = core.get("vocab") or {}
    if isinstance(words, list):
        return {word: number for number, (word, _) in enumerate(words)}
    return dict(words)


def _older(model: Path) -> dict[str, int]:
    """The vocabulary of a model without tokenizer.json, where that is a list of words."""
    if (model / "vocab.json").exists():
        return {str(word): number for word, number in read_settings(model / "vocab.json").items()}
    if (model / "vocab.txt").exists():
        lines = (model / "vocab.txt").read_text(encoding="utf-8").split("\n")
        return {word: number for number, word in enumerate(lines) if word}
    return {}


def _decoder(config: dict[str, Any]) -> Iterable[tuple[str, dict[str, Any]]]:
    return (config.get("added_tokens_decoder") or {}).items()


def _named(model: Path, config: dict[str, Any]) -> dict[str, str]:
    tokens = {"bos_token": "", "eos_token": ""}
    for settings in (read_settings(model / "special_tokens_map.json"), config):
        for key, value in settings.items():
            if key.endswith("_token") and isinstance(word := _content(value), str):
                tokens[key] = word
    return tokens


def _called_special(config: dict[str, Any]) -> list[str]:
    found = [config.get(key) or () for key in SPECIAL_LISTS]
    words = [word for each in found for word in (each.values() if isinstance(each, dict) else each)]
    return [word for each in words if isinstance(word := _content(each), str)]


def _content(value: Any) -> Any:
    return value.get("content") if isinstance(value, dict) else value
