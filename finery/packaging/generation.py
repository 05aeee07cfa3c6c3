"""generation_config.json: how answers are sampled, and where they stop."""

from pathlib import Path
from typing import Any

from finery.packaging.contents import read_json
from finery.packaging.errors import PackageError
from finery.packaging.template import turn_end

CONFIG = "generation_config.json"
STOPS = "eos_token_id"
TOKENS = ("bos_token_id", STOPS, "pad_token_id")


def generation_config(model: Path) -> dict[str, Any]:
    """The model's own settings, with the token that ends an assistant's turn among the stops.

    A base model knows the end of a text only; without the end of a turn the answer runs on into
    a conversation with itself. Raises `PackageError` if nothing would ever stop it.
    """
    settings = read_json(model / "config.json")
    if (model / CONFIG).exists():
        config = read_json(model / CONFIG)
    else:
        config = {key: settings[key] for key in TOKENS if settings.get(key) is not None}
    stops = [*(_stops(config) or _stops(settings)), turn_end(model)]
    stops = list(dict.fromkeys(stop for stop in stops if stop is not None))
    if not stops:
        raise PackageError(
            f"{model}: neither the chat template nor {CONFIG} ends an answer;"
            " add the end-of-turn token to the template"
        )
    return {**config, STOPS: stops[0] if len(stops) == 1 else stops}


def _stops(config: dict[str, Any]) -> list[int]:
    stops = config.get(STOPS)
    return stops if isinstance(stops, list) else [] if stops is None else [stops]
