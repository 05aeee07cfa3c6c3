"""Why a model cannot be had as GGUF."""

from finery.errors import UserError


class GgufError(UserError):
    """The model, its tokenizer or the type of numbers is not for GGUF."""


class TooLarge(GgufError):
    """A weight is larger than the numbers of the type."""
