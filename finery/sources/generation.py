"""generation_config.json: a chat model must stop where its template ends a turn."""

import json
from pathlib import Path

from finery.models.chat_template import chat_template
from finery.models.end_of_turn import ending
from finery.models.settings import read_settings
from finery.models.tokens import read_tokens
from finery.sources.errors import SourceError
from finery.sources.template import replace

GENERATION = "generation_config.json"
STOPS = "eos_token_id"
TOKENS = ("bos_token_id", STOPS, "pad_token_id")


def stop_at_end_of_turn(base: Path) -> None:
    """Put the token that ends an assistant's turn among those that end a generation.

    Base models with a chat template, and models given another template, often lack it, and then
    talk on to the length limit. All later stages carry the file along, into the packages. Raises
    `ChatTemplateError` if the template does not render, `SourceError` if nothing would ever stop
    the model.
    """
    config, generation = read_settings(base / "config.json"), read_settings(base / GENERATION)
    if not generation:
        generation = {key: config[key] for key in TOKENS if config.get(key) is not None}
    stops = _ids(generation.get(STOPS)) or _ids(config.get(STOPS))
    end = _end_of_turn(base)
    if end is not None and end not in stops:
        stops = [end, *stops]
    if not stops:
        raise SourceError(
            f"neither the chat template nor {GENERATION} ends an answer;"
            " set model.chat_template to a template that writes a special token after it"
        )
    if stops != _ids(read_settings(base / GENERATION).get(STOPS)):
        generation[STOPS] = stops[0] if len(stops) == 1 else stops
        replace(base / GENERATION, json.dumps(generation, indent=2, sort_keys=True) + "\n")


def _end_of_turn(base: Path) -> int | None:
    """The token that ends a turn: the template's; behind an answer it leaves open, prepare's."""
    tokens = read_tokens(base)
    found = ending(chat_template(base), tokens)
    if found.id is None and not found.tail.strip():
        return tokens.special.get(tokens.named["eos_token"])
    return found.id


def _ids(value: int | list[int] | None) -> list[int]:
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
