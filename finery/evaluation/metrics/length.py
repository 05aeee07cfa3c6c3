"""How long answers are, in tokens; neither more nor less is better."""

from finery.evaluation.sample import Sample


def score(sample: Sample) -> dict[str, float | None]:
    return {"length": float(sample.tokens)}
