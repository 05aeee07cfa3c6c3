"""`tuner` of type fourierft: a few frequencies of what is added to each weight."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.adapter import PlacedParams, Positive


class FourierftParams(PlacedParams):
    """Sparse spectra of the change of the weights (Gao et al. 2024, arXiv:2405.03003)."""

    type: Literal["fourierft"]
    n_frequency: Annotated[int, Field(ge=1)] = 1000
    """Trained numbers a layer."""
    scaling: Positive = 150.0
