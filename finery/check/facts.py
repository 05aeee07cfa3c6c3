"""What the files of a model folder say: config.json and the headers of its weights."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finery.models.seeing import of_language
from finery.models.settings import CONFIG, read_settings
from finery.models.tensors import IN_A_BLOCK, tensors

INPUT = {"embed_tokens", "wte", "word_embeddings", "embed_in", "tok_embeddings"}
OUTPUT = {"lm_head", "embed_out", "output_layer", "output", "head"}
NO_WORDS = re.compile(r"pos|wpe|token_type")
"""Tables of positions and of segments."""


@dataclass(frozen=True)
class Model:
    """A model folder; `text` is the part of its config that is about text, often all of it."""

    folder: Path
    config: Mapping[str, Any]
    tensors: Mapping[str, Mapping[str, Any]]

    @property
    def kind(self) -> str:
        return str(self.config.get("model_type", ""))

    @property
    def is_one(self) -> bool:
        """Whether a model of transformers is there, in safetensors; if not, download says so."""
        return bool(self.kind and self.tensors)

    @property
    def sees(self) -> bool:
        """Whether it reads images."""
        return bool(self.config.get("vision_config"))

    @property
    def language(self) -> dict[str, Mapping[str, Any]]:
        """The weights of its language model, mostly all."""
        return of_language(self.tensors) if self.sees else dict(self.tensors)

    @property
    def text(self) -> Mapping[str, Any]:
        return self.config.get("text_config") or self.config

    @property
    def embeddings(self) -> dict[str, int]:
        """Rows of each table with a row a token: that of the input, and of the output if apart."""
        return dict(self._tables())

    @property
    def tied(self) -> bool:
        """Whether the output multiplies with the table of the input."""
        separate = any(_last(name) in OUTPUT for name in self.embeddings)
        return not separate or self.config.get("tie_word_embeddings") is True

    def _tables(self) -> Iterator[tuple[str, int]]:
        size = self.text.get("vocab_size")
        for name, tensor in self.language.items():
            layer, _, kind = name.rpartition(".")
            if kind != "weight" or len(tensor["shape"]) != 2 or IN_A_BLOCK.search(name):
                continue
            rows = tensor["shape"][0]
            if not NO_WORDS.search(name) and (
                rows == size or _last(layer) in INPUT or _last(layer) in OUTPUT
            ):
                yield layer, rows


def read_model(folder: Path) -> Model:
    """Read what is there, nothing if there is no model yet. Raises `ModelFileError`."""
    return Model(folder, read_settings(folder / CONFIG), tensors(folder))


def _last(name: str) -> str:
    return name.rpartition(".")[2]
