"""Models that read images: told by their config.json; their parts, by the names of the weights."""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from finery.models.settings import CONFIG, read_settings

PROCESSORS = ("preprocessor_config.json", "processor_config.json")
"""Either says how an image becomes numbers."""
OF_VISION = re.compile(
    r"(^|\.)(visual|vision_?\w*|image_?\w*|vit|multi_?modal\w*|mm_projector|connector|projector"
    r"|aligner|merger|perceive\w*|embed_vision)\."
)
"""What vision towers are called, and what leads from them into the language model."""


def sees(model: Path) -> bool:
    """Whether the model in a folder reads images, beside text."""
    return bool(read_settings(model / CONFIG).get("vision_config"))


def of_language(tensors: Mapping[str, Any]) -> dict[str, Any]:
    """Those of a model's weights that are of its language model."""
    return {name: each for name, each in tensors.items() if not OF_VISION.search(name)}


def language_part(model: Any) -> str:
    """The name that the language model has within one that reads images, loaded."""
    decoder = model.get_decoder()
    return next(name for name, part in model.named_modules() if part is decoder)


def outside_language(model: Any) -> str:
    """A pattern of the names of all modules that are neither in the language model nor its head."""
    return rf"(?!{re.escape(language_part(model))}\.|lm_head$).*"


def beside_vision(model: Any, excluded: str | Collection[str] | None) -> str:
    """A pattern of all modules but those of the language model and its head, and of those that
    are `excluded` anyway, as PEFT has them: by a pattern, or by their names.
    """
    if excluded is not None and not isinstance(excluded, str):
        excluded = "|".join(rf"(.*\.)?{re.escape(name)}" for name in sorted(excluded))
    return "|".join(filter(None, (outside_language(model), excluded)))


def freeze_vision(model: Any) -> None:
    """Let nothing of the vision tower, and of what leads from it, be trained."""
    outside = re.compile(outside_language(model))
    for name, weight in model.named_parameters():
        if outside.fullmatch(name.rpartition(".")[0]):
            weight.requires_grad_(False)
