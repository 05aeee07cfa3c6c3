"""Whether an answer says what the reference says; of calls of tools, whether they are the same."""

from finery.evaluation.sample import Sample
from finery.evaluation.wording import plain


def score(sample: Sample) -> dict[str, float | None]:
    if not sample.text:
        return {"exact_match": sample.call_match}
    return {"exact_match": exact_match(sample.answer, sample.reference)}


def exact_match(answer: str, reference: str) -> float:
    """1.0 if the two say the same (see `plain`); an answer that says nothing never does."""
    said = plain(answer)
    return float(bool(said) and said == plain(reference))
