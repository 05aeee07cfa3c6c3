"""The images of a row: files in the folder of the datasets, one for each `<image>` of its words."""

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from finery.data.datasets.entries import MEDIA, Entry
from finery.data.formats.examples import Message
from finery.data.rows.bad_rows import FieldError
from finery.data.rows.fields import Fields, shown
from finery.data.rows.nested import opened

IMAGE = "<image>"
"""What stands for an image in the words of a row, as LLaMA-Factory and LLaVA have it."""
TEXT_ONLY = "only text can be trained on"


class Picture(NamedTuple):
    """An image: its file, and what prepared data calls it, by its SHA-256."""

    file: str
    name: str


def refuse_media(entry: Entry, row: Fields, seeing: bool) -> None:
    """Raises `FieldError` if a row holds what cannot be trained on: images only if `seeing`."""
    for medium in MEDIA[1 if seeing else 0 :]:
        column = entry.columns.media.get(medium)
        if column and opened(column, row.get(column)):
            if medium == "images":
                why = f"{TEXT_ONLY}: the model reads no images; take one that does, or"
            else:
                why = f"{'only text and images can be trained on' if seeing else TEXT_ONLY};"
            raise FieldError(column, "media", f"holds {medium}, and {why} remove the row")


def pictures(
    entry: Entry, row: Fields, said: Sequence[Message], folder: Path
) -> tuple[Picture, ...]:
    """The images of a row in the order of their marks in the questions of `said`.

    `folder` is that of the datasets. Raises `FieldError` if there are more or fewer than marks,
    or one is no image.
    """
    column = entry.columns.images or "images"
    given = opened(column, row.get(column)) or []
    files = given if isinstance(given, list) else [given]
    for message in said:
        words = message.get("content") or ""
        if message["role"] != "user" and IMAGE in words:
            problem = f"{message['role']}: has {IMAGE}, which only a question can have; remove it"
            raise FieldError(column, "images", problem)
    marks = sum((message.get("content") or "").count(IMAGE) for message in said)
    if marks != len(files):
        problem = (
            f"{len(files)} images for {marks} {IMAGE} in the questions; write {IMAGE} where each"
            " image is looked at"
        )
        raise FieldError(column, "images", problem)
    return tuple([_picture(column, file, folder) for file in files])


def _picture(column: str, named: Any, folder: Path) -> Picture:
    if not isinstance(named, str) or "://" in named or named.startswith("data:"):
        problem = f"must be the path of a file in {folder}, not {shown(named)}"
        raise FieldError(column, "images", problem)
    file = folder / named
    if not file.resolve().is_relative_to(folder.resolve()):
        raise FieldError(column, "images", f"{named} leaves {folder}; copy it there")
    if not file.is_file():
        raise FieldError(column, "images", f"{file}: no such file")
    try:
        _read(file)
    except Exception as error:  # Pillow raises what it stumbles over
        said = " ".join(str(error).split()) or type(error).__name__
        raise FieldError(column, "images", f"{file}: no image that can be read ({said})") from None
    sha256 = hashlib.sha256(file.read_bytes()).hexdigest()
    return Picture(str(file), f"{sha256}{file.suffix.lower()}")


def _read(file: Path) -> None:
    from finery.models.pictures import read_image

    read_image(file)
