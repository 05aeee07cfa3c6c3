"""generation_config.json: a chat model must stop where its template ends a turn."""

import json
from pathlib import Path
from typing import Any

from finery.sources.template import chat_template, end_of_turn, replace

GENERATION = "generation_config.json"


def stop_at_end_of_turn(base: Path) -> None:
    """Put the token that ends an assistant's turn among those that end a generation.

    Base models with a chat template, and models given another template, often lack it, and then
    talk on to the length limit. Raises `SourceError` if the template does not render.
    """
    tokenizer, config = _read(base / "tokenizer_config.json"), _read(base / "config.json")
    generation = _read(base / GENERATION)
    special = {key: _text(tokenizer.get(key)) for key in ("bos_token", "eos_token")}
    tail = end_of_turn(chat_template(base), special)
    ending = [token for token in _added_tokens(base, tokenizer) if tail.startswith(token[0])]
    if not ending:
        return
    token_id = max(ending, key=lambda token: len(token[0]))[1]
    stops = _ids(generation.get("eos_token_id", config.get("eos_token_id")))
    if token_id not in stops:
        generation["eos_token_id"] = [token_id, *stops] if stops else token_id
        replace(base / GENERATION, json.dumps(generation, indent=2, sort_keys=True) + "\n")


def _added_tokens(base: Path, tokenizer: dict[str, Any]) -> list[tuple[str, int]]:
    """Tokens that are never split, with their ids, from either place where they are listed."""
    listed = _read(base / "tokenizer.json").get("added_tokens", [])
    older = tokenizer.get("added_tokens_decoder", {})
    return [(token["content"], token["id"]) for token in listed] + [
        (token["content"], int(number)) for number, token in older.items()
    ]


def _ids(value: int | list[int] | None) -> list[int]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]


def _text(token: str | dict[str, Any] | None) -> str:
    return token["content"] if isinstance(token, dict) else token or ""


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
