"""What a model takes of the images of a batch of tests, beside their tokens."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from finery.models.pictures import FOLDER, Pictures

IMAGES = "image_files"
"""What a test sees: names of files in the folder `images` beside the tests."""
Seen = Callable[[Sequence[dict[str, Any]], Any], dict[str, Any]]
"""Of a batch of tests and its tokens (rows x tokens), what else the model takes."""


def seen_by(model: Path, tests: Path) -> Seen | None:
    """For the tests in a folder; None for a model that reads text alone."""
    if (pictures := Pictures.of(model)) is None:
        return None

    def given(batch: Sequence[dict[str, Any]], tokens: Any) -> dict[str, Any]:
        files = [tests / FOLDER / name for test in batch for name in test.get(IMAGES) or ()]
        return pictures.inputs(files, tokens)

    return given
