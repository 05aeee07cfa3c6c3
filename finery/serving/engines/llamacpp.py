"""llama.cpp's server, of the xllamacpp wheel, over a GGUF of the model."""

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from finery.serving.engines.engine import Ask, Token

KEY = "FINERY_ENGINE_KEY"
RANDOM = 2**32 - 1
"""A seed that llama.cpp takes for none."""


def is_here() -> bool:
    """Whether the wheel is installed."""
    return find_spec("xllamacpp") is not None


@dataclass(frozen=True)
class LlamaCpp:
    """A dialect. `context` is what prompt and answer have together, for each of the `streams`."""

    file: Path
    streams: int
    context: int
    threads: int
    spelt: Callable[[str], list[int]]
    """The tokens of some words."""
    name = "llamacpp"
    shapes = True
    path = "/completion"
    seconds = 600.0

    def command(self, port: int) -> Sequence[str]:
        settings = (self.file, port, self.streams, self.context, self.threads)
        program = "finery.serving.engines.llamacpp_program"
        return [sys.executable, "-m", program, *map(str, settings)]

    def environment(self, key: str) -> Mapping[str, str]:
        return os.environ | {KEY: key}

    def body(self, ask: Ask) -> dict[str, Any]:
        sampling = ask.sampling
        seed = RANDOM if sampling.seed is None else sampling.seed % RANDOM
        return {
            "prompt": list(ask.prompt),
            "n_predict": ask.room,
            "stream": True,
            "return_tokens": True,
            "cache_prompt": True,
            # as transformers has them, and in its order
            "samplers": ["penalties", "temperature", "top_k", "top_p"],
            "temperature": sampling.temperature,
            "top_k": sampling.top_k,
            "top_p": sampling.top_p,
            "repeat_penalty": sampling.repetition_penalty,
            "repeat_last_n": self.context,
            "seed": seed,
            "n_probs": 0 if ask.likeliest is None else max(1, ask.likeliest),
        } | ({} if ask.schema is None else {"json_schema": ask.schema or {"type": "object"}})

    def reader(self) -> Callable[[dict[str, Any]], list[Token]]:
        """llama.cpp says nothing while a character is not whole, and then its last token alone:
        those before are found by the words.
        """
        known = 0

        def read(event: dict[str, Any]) -> list[Token]:
            nonlocal known
            before, known = known, event.get("tokens_predicted", known)
            tokens = list(_tokens(event))
            if known - before > len(tokens) > 0:
                return [*map(Token, self.spelt(event["content"])[: -len(tokens)]), *tokens]
            return tokens

        return read

    def stopped(self, event: dict[str, Any]) -> bool:
        return bool(event.get("stop")) and event.get("stop_type") == "eos"


def _tokens(event: dict[str, Any]) -> Iterator[Token]:
    chances = event.get("completion_probabilities") or []
    for place, token in enumerate(event.get("tokens") or ()):
        if place < len(chances):
            found = chances[place]
            likeliest = [(each["id"], each["logprob"]) for each in found["top_logprobs"]]
            yield Token(token, found["logprob"], tuple(likeliest))
        else:
            yield Token(token)


def speller(tokenizer: Any) -> Callable[[str], list[int]]:
    """The tokens of some words in the middle of others."""
    before = tokenizer("a", add_special_tokens=False)["input_ids"]

    def spelt(words: str) -> list[int]:
        return tokenizer(f"a{words}", add_special_tokens=False)["input_ids"][len(before) :]

    return spelt
