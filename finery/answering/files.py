"""Texts that users hand over, and those that are left for them."""

import os
from pathlib import Path

from finery.errors import UserError


class FileError(UserError):
    """A file cannot be read or written."""


def read_text(file: Path) -> str:
    """The text of a file. Raises `FileError` if it is not there, or not UTF-8."""
    try:
        return file.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise FileError(f"{file}: not UTF-8 at byte {error.start}; save it as UTF-8") from None
    except OSError as error:
        raise FileError(f"{file}: cannot be read: {error.strerror}") from None


def write_text(file: Path, text: str) -> None:
    """Write a file, whole or not at all. Raises `FileError`."""
    partial = file.with_name(f".partial-{file.name}")
    try:
        partial.write_text(text, encoding="utf-8")
        os.replace(partial, file)
    except OSError as error:
        raise FileError(f"{file}: cannot be written: {error.strerror}") from None
