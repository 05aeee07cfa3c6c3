"""Images in a conversation, for models that read them: as the evaluation shows them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from finery.errors import UserError
from finery.models.conversation import Message
from finery.models.image_places import HERE, ImagePlaces
from finery.models.pictures import Pictures

IMAGES = "images"
"""What a message shows: the paths of files, before its words."""


class SightError(UserError):
    """An image cannot be shown."""


def images_of(messages: Sequence[Message]) -> list[Path]:
    """All images that messages show, in their order."""
    return [Path(image) for message in messages for image in message.get(IMAGES) or ()]


class Sight:
    """What a model sees by, if it reads images."""

    def __init__(self, model: Path) -> None:
        self._pictures = Pictures.of(model)
        self.places = ImagePlaces(self._pictures.token) if self._pictures else None
        self._tokens: dict[Path, list[int]] = {}

    def shown(self, messages: Sequence[Message]) -> list[Message]:
        """Messages with a place for each image among the words."""
        if self.places is None and images_of(messages):
            raise SightError("the model reads no images; take one that does")
        return [
            {key: value for key, value in message.items() if key != IMAGES}
            | {"content": HERE * len(message[IMAGES]) + (message.get("content") or "")}
            if message.get(IMAGES)
            else message
            for message in messages
        ]

    def grown(self, ids: Sequence[int], images: Sequence[Path]) -> list[int]:
        """Tokens with each image's own grown to all that the image is."""
        if self._pictures is None:
            return list(ids)
        places = [at for at, token in enumerate(ids) if token == self._pictures.token_id]
        if len(places) != len(images):
            raise SightError(
                f"the chat template writes {len(places)} images of {len(images)}; use another"
            )
        left, found = iter(images), []
        for token in ids:
            own = token == self._pictures.token_id
            found += self._read(next(left)) if own else [token]
        return found

    def inputs(self, images: Sequence[Path], input_ids: Any) -> Mapping[str, Any]:
        """What the model takes beside the tokens (1 x tokens)."""
        return self._pictures.inputs(images, input_ids) if self._pictures else {}

    def _read(self, file: Path) -> list[int]:
        from PIL import UnidentifiedImageError

        if file not in self._tokens:
            try:
                self._tokens[file] = self._pictures.tokens(file)
            except (OSError, UnidentifiedImageError, ValueError) as error:
                said = getattr(error, "strerror", None) or "no image that Pillow reads"
                raise SightError(f"{file}: {said}") from None
        return self._tokens[file]
