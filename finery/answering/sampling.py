"""How the next token is chosen: what a model's own generation config says, unless told otherwise.

As with vLLM and transformers, and unlike evaluation, which is always greedy. Temperature 0 is
greedy too.
"""

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from finery.errors import UserError
from finery.models.settings import read_settings

FILE = "generation_config.json"


class SamplingError(UserError):
    """A setting of the sampling is none, or out of bounds."""


class Sampling(BaseModel):
    """Settings of the sampling, by transformers' names of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    temperature: float = Field(0.0, ge=0, le=5, allow_inf_nan=False)
    """0: the likeliest token, always."""
    top_p: float = Field(1.0, gt=0, le=1)
    top_k: int = Field(0, ge=0)
    """0: all tokens."""
    repetition_penalty: float = Field(1.0, gt=0, le=10, allow_inf_nan=False)
    seed: int | None = Field(None, ge=0, lt=2**63)
    """None: another one for each answer."""
    max_new_tokens: int = Field(1024, ge=1)
    stop: tuple[str, ...] = ()
    """Texts that end an answer, which does not have them."""

    @classmethod
    def of(cls, model: Path) -> "Sampling":
        """What the model's generation_config.json says; greedy if that does not sample.

        Raises `SamplingError`.
        """
        said = read_settings(model / FILE)
        sampled = ("temperature", "top_p", "top_k") if said.get("do_sample") else ()
        keys = (*sampled, "repetition_penalty", "max_new_tokens")
        given = {key: said[key] for key in keys if said.get(key) is not None}
        if sampled:
            given.setdefault("temperature", 1.0)
        try:
            return cls().changed(**given)
        except SamplingError as error:
            raise SamplingError(f"{model / FILE}: {error}; correct it") from None

    def changed(self, **values: Any) -> "Sampling":
        """The same with other values, which may be text. Raises `SamplingError`."""
        try:
            return type(self).model_validate(self.model_dump() | values)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(map(str, first["loc"][:1]))
            said = f"{name}: {first['msg'].lower()}, not {first['input']!r}"
            if first["type"] == "extra_forbidden":
                said = f"{name}: no such setting; there are {', '.join(type(self).model_fields)}"
            raise SamplingError(said) from None
