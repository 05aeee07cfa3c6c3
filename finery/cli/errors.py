"""What a user did wrong, as one line on standard error and an exit status."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from finery.errors import UserError


@contextmanager
def one_line_errors() -> Iterator[None]:
    """End the program with the line and the exit status of a `UserError` in the block."""
    try:
        yield
    except UserError as error:
        print(error, file=sys.stderr)
        raise SystemExit(error.exit_status) from None
