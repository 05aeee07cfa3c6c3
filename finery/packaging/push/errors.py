"""Why a package could not be pushed."""

from finery.errors import UserError


class PushError(UserError):
    """A hub or a registry refuses a package, or cannot be reached."""
