"""Whether a pattern is found in the answer; with a group, whether it finds the right thing there.

`{regex: "####\\s*(-?[\\d,.]+)"}` compares what the group finds in the answer with what it finds in
the reference, as exact_match does; where the reference does not have the pattern, with all of it.
"""

import regex

from finery.evaluation.metrics.exact_match import exact_match
from finery.evaluation.sample import Sample


def score(sample: Sample, pattern: str) -> dict[str, float | None]:
    found = regex.search(pattern, sample.answer)
    if not found or not found.re.groups:
        return {"regex": float(bool(found))}
    expected = regex.search(pattern, sample.reference)
    right = _first(expected) if expected else sample.reference
    return {"regex": exact_match(_first(found), right)}


def _first(found: regex.Match[str]) -> str:
    """What the first group found that took part."""
    return next((group for group in found.groups() if group is not None), "")
