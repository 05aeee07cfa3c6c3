"""`tuner` of type expansion: new blocks are put between the model's, and trained alone."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.section import Section


class ExpansionParams(Section):
    """Block expansion (LLaMA Pro, Wu et al. 2024, arXiv:2401.02415).

    Copies of blocks, spread evenly, that begin by adding nothing; the model grows by them.
    """

    type: Literal["expansion"]
    blocks: Annotated[int, Field(ge=1, le=1000)] = 4
    """How many are put in; no more than the model has."""
