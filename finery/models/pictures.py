"""Images as a model that reads them takes them: its own processor, always by Pillow.

So that the same image is the same numbers on every machine, whether torchvision is there or not.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finery import lineage
from finery.errors import UserError
from finery.models.seeing import sees
from finery.models.tokenizer import load_tokenizer

FOLDER = "images"
"""Beside prepared samples, the images that they name."""


class ProcessorError(UserError):
    """The images of a model cannot be processed here."""


class Pictures:
    """The processor of a model, for images. `token` is the one that stands for an image in a text,
    `ids` are all that an image becomes.
    """

    def __init__(self, model: Path) -> None:
        self.processor = load_processor(model)
        self.token: str = self.processor.image_token
        self.token_id: int = self.processor.image_token_id

    @property
    def padding(self) -> int:
        """A token to fill rows up with, which is no image's."""
        tokenizer = self.processor.tokenizer
        padding = tokenizer.pad_token_id
        return tokenizer.eos_token_id if padding is None else padding

    @classmethod
    def of(cls, model: Path) -> "Pictures | None":
        """None for a model that reads text alone."""
        return cls(model) if sees(model) else None

    def tokens(self, file: Path) -> list[int]:
        """What the processor writes in the place of an image's token."""
        return self._processed([file])["input_ids"][0].tolist()

    def inputs(self, files: Sequence[Path], input_ids: Any) -> dict[str, Any]:
        """What a model takes beside the tokens of a batch, `input_ids` (rows x tokens).

        `files` are all images of the batch, in the order of their tokens; nothing without any.
        """
        import torch

        if not files:
            return {}
        given = dict(self._processed(files))
        kinds = given.pop("mm_token_type_ids", None)
        del given["input_ids"], given["attention_mask"]
        if kinds is not None:
            rows = self.processor.create_mm_token_type_ids(input_ids.tolist())
            given["mm_token_type_ids"] = torch.tensor(rows)
        return {name: value.to(input_ids.device) for name, value in given.items()}

    def _processed(self, files: Sequence[Path]) -> Any:
        images = [read_image(file) for file in files]
        return self.processor(
            text=[self.token * len(images)],
            images=images,
            return_tensors="pt",
            add_special_tokens=False,
        )


def read_image(file: Path) -> Any:
    """An image in RGB, turned as its camera says. Raises what Pillow does if it is none."""
    from PIL import Image, ImageOps

    with Image.open(file) as image:
        return ImageOps.exif_transpose(image).convert("RGB")


def load_processor(model: Path) -> Any:
    """The processor of a model folder, for text and images; what it has for videos is left out.

    That part needs torchvision. Raises `ProcessorError` if the folder has no processor, or one
    that Pillow and PyTorch are not enough for.
    """
    from transformers import AutoConfig, AutoImageProcessor
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING

    trusted = {"local_files_only": True, "trust_remote_code": lineage.trusts_remote_code(model)}
    try:
        kind = PROCESSOR_MAPPING[type(AutoConfig.from_pretrained(model, **trusted))]
        images = AutoImageProcessor.from_pretrained(model, backend="pil", **trusted)
        parts = {"image_processor": images, "tokenizer": load_tokenizer(model)}
        names = [name for name in kind.get_attributes() if name in parts]
        attributes = {"get_attributes": classmethod(lambda cls: names)}
        seeing = type(kind.__name__, (kind,), attributes)
        settings, rest = seeing.get_processor_dict(model)
        processor = seeing.from_args_and_dict([parts[name] for name in names], settings, **rest)
        processor.image_token, processor.image_token_id  # noqa: B018 (what is relied upon)
    except (AttributeError, ImportError, KeyError, OSError, TypeError, ValueError) as error:
        said = " ".join(str(error).split())[:200]
        raise ProcessorError(
            f"{model}: its images cannot be processed ({type(error).__name__}: {said}); choose a"
            " model whose processor transformers has for Pillow"
        ) from error
    return processor
