"""`package`: what the model card says."""

from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from finery.params.hub import LICENSES, OTHER, known_language, known_license
from finery.params.section import Section

License = Annotated[
    str,
    AfterValidator(known_license),
    Field(json_schema_extra={"examples": LICENSES.split()}),
]


class PackageParams(Section):
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    """Name of the model, as in a repository on a hub: letters, digits, dots, `_` and `-`."""
    license: License
    """As the Hugging Face hub names it, such as apache-2.0; the base model's licence usually binds.
    One that is not in its list is `other`."""
    license_name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9.-]*$")] | None = None
    """What a licence that is `other` is called, such as my-license-1.0: lower-case letters, digits,
    dots and `-`."""
    license_link: Annotated[str, Field(pattern=r"^(https?://\S+|[^/]+)$")] | None = None
    """Where a licence that is `other` is to be read: a file of the base model, as LICENSE, or a
    URL."""
    language: list[Annotated[str, AfterValidator(known_language)]] = []
    """ISO 639 codes, such as [en, zh]."""
    description: str = ""
    """A sentence or two for the model card."""

    @model_validator(mode="after")
    def _named_if_other(self) -> "PackageParams":
        given = {"license_name": self.license_name, "license_link": self.license_link}
        if self.license == OTHER:
            wrong = [f"{key}: needed, for license is other" for key in given if not given[key]]
        else:
            wrong = [
                f"{key}: only for license: other, not {self.license}" for key in given if given[key]
            ]
        if wrong:
            raise ValueError("\n".join(wrong))
        return self
