"""`tuner` of type hra: a chain of reflections."""

from typing import Literal

from finery.params.adapter import PlacedParams, Rank


class HraParams(PlacedParams):
    """Householder reflections (Yuan et al. 2024, arXiv:2405.17484)."""

    type: Literal["hra"]
    rank: Rank = 8
    """Reflections a layer; an even number begins as no change."""
    orthogonal: bool = False
    """Make the reflections orthogonal to each other, by Gram-Schmidt."""
