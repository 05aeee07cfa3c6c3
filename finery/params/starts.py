"""`starts`: released models that steps of the training may start from, beside the base model."""

import re
from collections.abc import Iterator
from typing import Annotated

from pydantic import AfterValidator

from finery.params.train import BASE, TAKEN

RELEASE = re.compile(r"release:[A-Za-z0-9][\w-]*@[\w.-]+")


def _a_release(source: str) -> str:
    if not RELEASE.fullmatch(source):
        raise ValueError(
            "must be release:NAME@STAGE or release:NAME@VERSION, such as release:merged@prod"
        )
    return source


StartsParams = dict[str, Annotated[str, AfterValidator(_a_release)]]


def start_problems(starts: StartsParams, train: dict[str, object]) -> Iterator[str]:
    """What is wrong with the names: of the starts, and of those in the steps' `after`."""
    for name in starts:
        if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
            yield f'starts: "{name}" cannot name a model; take small letters, digits and _'
        elif name in (*TAKEN, *train):
            yield f"starts.{name}: models/{name} is another model; rename it"
    known = [BASE, *starts, *train]
    for name, step in train.items():
        if step.after not in known:
            hint = ""
            if RELEASE.fullmatch(step.after):
                hint = (
                    f'; a release has a name first: set starts: {{champion: "{step.after}"}}, and'
                    " after: champion here"
                )
            yield f"train.{name}.after: no step {step.after}; there are {', '.join(known)}{hint}"
