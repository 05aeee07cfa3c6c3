"""`package`: what the model card says."""

from typing import Annotated

from pydantic import Field

from finery.params.section import Section


class PackageParams(Section):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    """Name of the model, as in a repository on a hub: letters, digits, dots, `_` and `-`."""
    license: str
    """SPDX identifier; the base model's licence usually binds."""
    language: list[str] = []
    """ISO 639 codes, such as [en, zh]."""
    description: str = ""
    """A sentence or two for the model card."""
