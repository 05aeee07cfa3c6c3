"""evaluate: the held-out loss of a model, and its answers to the test questions."""

from pathlib import Path

from finery.data.prepared import read_parquet
from finery.evaluation.ask import ask
from finery.evaluation.functions import scored, try_on
from finery.evaluation.kept import made_from, once
from finery.evaluation.measuring import metrics_of
from finery.evaluation.report import Scored, refuse_nothing, summarize
from finery.evaluation.sample import Sample
from finery.models.load import be_quiet
from finery.params.evaluate import EvaluateParams
from finery.to_json import to_json


def evaluate(
    params: EvaluateParams,
    model: Path,
    tests: Path,
    functions: Path,
    *,
    samples: Path,
    metrics: Path,
) -> None:
    """Answer every question of `tests` and score the answers.

    `functions` has the user's metrics. `samples` gets one JSON line a question, `metrics` the
    scores of each dataset and of all. Raises `NothingToTest` if there is no question, `MetricError`
    if a metric of the user's fails: the answers are kept then.
    """
    be_quiet()
    rows = read_parquet(tests / "test.parquet")
    refuse_nothing(rows, tests / "test.parquet")
    measured = metrics_of(params, functions)
    try_on(measured, rows)
    key = made_from(model, tests, params.model_dump(exclude={"metrics"}))
    said = once(key, lambda: ask(params, model, tests, rows))
    answered = [
        Sample.of(row, each.answer, each.call_match) for row, each in zip(rows, said, strict=True)
    ]
    scores = scored(measured, rows, answered)
    found = [
        Scored(sample, each, one.loss)
        for sample, each, one in zip(answered, scores, said, strict=True)
    ]
    lines = [to_json(each.line()) + "\n" for each in found]
    samples.write_text("".join(lines), encoding="utf-8")
    text = to_json(summarize(found, measured), indent=2)
    metrics.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    from finery.stage.run import run

    run(evaluate)
