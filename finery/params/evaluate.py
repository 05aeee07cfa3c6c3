"""`evaluate`: how the test questions are answered."""

from typing import Annotated

from pydantic import Field

from finery.params.section import Section


class EvaluateParams(Section):
    max_new_tokens: Annotated[int, Field(ge=1, le=32768)] = 128
    """Longest answer, in tokens; a longer one is cut and counted as unfinished."""
    batch_size: Annotated[int, Field(ge=1)] = 8
    """Questions answered at once; halved by itself when memory runs out."""
