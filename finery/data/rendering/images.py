"""Images in conversations: put where the chat template wants them, grown to their tokens."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np

from finery.data.formats.examples import Example, Message
from finery.data.formats.images import IMAGE
from finery.data.rendering.encoding import Encoded, joined
from finery.data.rendering.template import TemplateError
from finery.models.image_places import HERE, ImagePlaces
from finery.models.pictures import Pictures


class ImageTokens(ImagePlaces):
    """What the images of conversations are, by a model's processor.

    `ids` are all tokens that an image becomes: none of them is learnt.
    """

    def __init__(self, pictures: Pictures) -> None:
        super().__init__(pictures.token)
        self._token_id = pictures.token_id
        self.tokens = cache(lambda file: np.array(pictures.tokens(Path(file)), np.int32))

    def marked(self, messages: Sequence[Message]) -> list[Message]:
        """Messages of a dataset, with `HERE` where an image is."""
        return [
            message | {"content": message["content"].replace(IMAGE, HERE)}
            if IMAGE in (message.get("content") or "")
            else message
            for message in messages
        ]

    def refuse_lost(self, text: str, example: Example) -> None:
        """Raises `TemplateError` if a text does not have a place for each image of a row."""
        if (found := text.count(self.token)) != len(example.images):
            raise TemplateError(
                f"the chat template writes {found} images of {len(example.images)}; use another"
                " model.chat_template"
            )

    def grown(self, encoded: Encoded, examples: Sequence[Example]) -> tuple[Encoded, list]:
        """Texts with each image's token grown to all that the image is; and where each ends.

        `examples` are those of the texts, one each.
        """
        ids, at, ends = [], [], []
        for index, example in enumerate(examples):
            own = encoded.text(index)
            asked = slice(encoded.at_bounds[index], encoded.at_bounds[index + 1])
            places = encoded.at[asked] - encoded.bounds[index]
            if not example.images:
                ids.append(own), at.append(places), ends.append(np.empty(0, int))
                continue
            where = np.flatnonzero(own == self._token_id)
            runs = [self.tokens(picture.file) for picture in example.images]
            more = np.array([0, *np.cumsum([len(run) - 1 for run in runs])])
            kept = np.split(own, np.sort(np.concatenate((where, where + 1))))
            kept[1::2] = runs
            ids.append(np.concatenate(kept))
            at.append(places + more[np.searchsorted(where, places)])
            ends.append(where + 1 + more[1:])
        return joined(ids, at), ends

    def uncounted(self, ids: np.ndarray, ends: np.ndarray, example: Example) -> np.ndarray:
        """A flag for each token of a sample: whether it is of an image."""
        flags = np.zeros(len(ids), bool)
        for end, picture in zip(ends.tolist(), example.images, strict=True):
            flags[end - len(self.tokens(picture.file)) : end] = True
        return flags
