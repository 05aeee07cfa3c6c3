"""The lines of a text file, whatever their length, and what encoding it is in."""

import codecs
from collections.abc import Iterator
from pathlib import Path

from finery.data.errors import DataError

CHUNK = 1 << 20
LONGEST_ROW = 1 << 24
"""Bytes, some four million tokens: no model reads so long a sample, and memory is bounded."""
TOO_LONG = ("", "too-long", f"is longer than {LONGEST_ROW >> 20} MiB; split it or remove it")
WIDE = {
    codecs.BOM_UTF32_LE: "UTF-32", codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16",
}  # fmt: skip


def lines(file: Path) -> Iterator[tuple[int, bytes | None]]:
    """Each line with its number from 1, and its end; None for one that is too long.

    Files that were joined may have a byte order mark before any line: it is no part of it.
    Raises `DataError` for lines that end in CR alone, as on old Macs.
    """
    with file.open("rb") as stream:
        number = 0
        while line := stream.readline(LONGEST_ROW + 1):
            number += 1
            whole = len(line) <= LONGEST_ROW or line.endswith(b"\n")
            while not line.endswith(b"\n") and (rest := stream.readline(CHUNK)):
                line = rest
            if number == 1 and not line.endswith(b"\n") and b"\r" in line.strip():
                raise DataError(f"{file}: its lines end in CR; save the file with LF")
            yield number, line.removeprefix(codecs.BOM_UTF8) if whole else None


def first_character(file: Path) -> str:
    """The first character that is not white space; "" if there is none.

    Raises `DataError` for a file in UTF-16 or UTF-32.
    """
    with file.open("rb") as stream:
        start = stream.read(4)
        if name := _wide(start):
            raise DataError(f"{file}: {name}; save the file as UTF-8")
        start = start.removeprefix(codecs.BOM_UTF8)
        while not start.strip() and (more := stream.read(CHUNK)):
            start = more
    return start.strip()[:1].decode("latin-1")


def not_utf8(line: int, content: bytes) -> str:
    """The problem with a line whose `content` from some place on is not UTF-8."""
    decoded = content[:1000].decode("gb18030", "replace")
    chinese = sum("\u4e00" <= letter <= "\u9fff" for letter in decoded)
    guess = " but perhaps GBK" if chinese > decoded.count("\ufffd") else ""
    return f"line {line} is not UTF-8{guess}; save the file as UTF-8"


def _wide(start: bytes) -> str | None:
    for mark, name in WIDE.items():
        if start.startswith(mark):
            return name
    return "UTF-16" if start[:4].count(0) == 2 else None
