"""`report`: the page that sets the evaluated models side by side."""

from typing import Literal

from finery.params.quantize import Format
from finery.params.section import Section


class ReportParams(Section):
    language: Literal["en", "zh"] = "en"
    """What the page is written in: English or Chinese."""


class ComparedParams(Section):
    """What compare is handed: the settings of the page, and which models there are."""

    language: Literal["en", "zh"]
    formats: list[Format]

    @property
    def models(self) -> list[str]:
        """By their names in reports/evaluate."""
        return ["base", "merged", *self.formats]
