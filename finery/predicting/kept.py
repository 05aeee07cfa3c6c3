"""Answers that are there already, of a run that was cut off: beside the file they go to."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

from finery.answering.files import FileError
from finery.inference.answers import Answer


class Kept:
    """A file of answers by the numbers of their questions; `key` says what they depend on.

    Those of another key are forgotten. Raises `FileError` if it cannot be written.
    """

    def __init__(self, output: Path, key: str) -> None:
        self._file = output.with_name(f".partial-{output.name}")
        self.answers = self._read(key)
        lines = [json.dumps({"key": key}), *map(_line, self.answers.items())]
        self._write("".join(f"{line}\n" for line in lines), "w")

    def add(self, answers: Mapping[int, Answer]) -> None:
        self._write("".join(f"{_line(each)}\n" for each in answers.items()), "a")

    def forget(self) -> None:
        self._file.unlink(missing_ok=True)

    def _read(self, key: str) -> dict[int, Answer]:
        try:
            first, *lines = self._file.read_text(encoding="utf-8").split("\n")[:-1]
            if json.loads(first) != {"key": key}:
                return {}
            return {int(number): Answer(**said) for number, said in map(json.loads, lines)}
        except (OSError, ValueError):
            return {}

    def _write(self, text: str, mode: str) -> None:
        try:
            with self._file.open(mode, encoding="utf-8") as file:
                file.write(text)
        except OSError as error:
            raise FileError(f"{self._file}: cannot be written: {error.strerror}") from None


def _line(answered: tuple[int, Answer]) -> str:
    number, answer = answered
    return json.dumps([number, asdict(answer)])
