"""`tuner` of type full: every weight is trained."""

from typing import Literal

from finery.params.section import Section


class FullParams(Section):
    """All weights of the model; what is trained is as large as the model itself."""

    type: Literal["full"]
