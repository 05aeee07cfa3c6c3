"""What can be wrong with the source of a base model."""

from finery.errors import UserError


class SourceError(UserError):
    """The base model cannot be had, or is not fit to use; the message ends in what to do."""
