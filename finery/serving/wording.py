"""What a model's folder says of prompts and answers, whatever engine computes them."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

from finery.answering.prompts import Prompts, begun_thought
from finery.answering.sampling import FILE as GENERATION
from finery.answering.sampling import Sampling
from finery.answering.words import Words
from finery.check.facts import read_model
from finery.check.positions import positions
from finery.errors import UserError
from finery.inference.answers import Answer, decoded
from finery.models.conversation import Message, Tools
from finery.models.end_of_turn import end_of_turn
from finery.models.settings import CONFIG, read_settings


class WordingError(UserError):
    """A model's folder does not say what answers need."""


class Wording:
    """Prompts by the package's chat template; answers in the words of its tokenizer."""

    def __init__(self, folder: Path, tokenizer: Any, adapter: Path | None = None) -> None:
        self.folder, self._tokenizer = folder, tokenizer
        self._prompts = Prompts(folder, tokenizer, adapter)
        self.sampling = Sampling.of(folder)
        self.stops = stops(folder)
        self.context = positions(read_model(folder))
        self.size = len(tokenizer)

    def prompt(
        self, messages: Sequence[Message], tools: Tools, keywords: Mapping[str, Any]
    ) -> tuple[list[int], str]:
        """The prompt's tokens, and the thought that it begins, or "". Raises as `Prompts.text`."""
        text = self._prompts.text(messages, tools, keywords)
        return self._prompts.tokens(text), begun_thought(text)

    def raw(self, text: str) -> list[int]:
        """The tokens of a text that no template is put around."""
        return self._tokenizer(text)["input_ids"]

    def words(self, stop: Sequence[str], trimmed: bool) -> Words:
        return Words(self._decode, stop, trimmed)

    def token(self, token: int) -> str:
        """What a token says alone; control tokens too."""
        return self._tokenizer.decode([token])

    def answer(self, ids: Sequence[int]) -> Answer:
        return decoded(self._tokenizer, ids, self.stops)

    @cached_property
    def calls(self) -> Any:
        """Finds the calls of tools in an answer; None if the template's way is not understood."""
        from finery.inference.call_syntax import call_reader

        return call_reader(self._tokenizer)

    def _decode(self, ids: Sequence[int]) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True)


def stops(folder: Path) -> list[int]:
    """Where answers end: as the settings of the model say, and where the template ends a turn."""
    config = read_settings(folder / CONFIG)
    places = (read_settings(folder / GENERATION), config, config.get("text_config") or {})
    eos = next((said for each in places if (said := each.get("eos_token_id")) is not None), [])
    found = list(eos) if isinstance(eos, list) else [eos]
    end = end_of_turn(folder)
    found += [] if end is None or end in found else [end]
    if not found:
        raise WordingError(
            f"{folder}: no token ends an answer; name one in generation_config.json, eos_token_id"
        )
    return found
