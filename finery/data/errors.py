"""What can be wrong with a dataset."""

from finery.errors import UserError


class DataError(UserError):
    """A dataset cannot be used: file, row and column, what is wrong and what to do."""
