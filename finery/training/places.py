"""Where an adapter is put, in PEFT's terms."""

import re
from typing import Any

from finery.params.adapter import PlacedParams


def places(params: PlacedParams) -> dict[str, Any]:
    """Keywords for the configuration of any tuner that can be kept away from some layers.

    PEFT does not look at layers_to_transform where all-linear is asked for; layers of other blocks
    are excluded by a pattern then.
    """
    excluded: Any = params.exclude_modules or None
    layers = params.layers_to_transform
    if layers is not None and params.target_modules == "all-linear":
        names = [rf"(.*\.)?{re.escape(name)}" for name in params.exclude_modules]
        excluded, layers = "|".join([_outside(layers), *names]), None
    return {
        "target_modules": params.target_modules,
        "exclude_modules": excluded,
        "layers_to_transform": layers,
        "modules_to_save": params.modules_to_save or None,
    }


def _outside(layers: list[int]) -> str:
    """A pattern of all names but those whose first number is one of these."""
    numbers = "|".join(map(str, layers))
    return rf"(?!(?:(?!\.\d+\.).)*\.(?:{numbers})\.).*"
