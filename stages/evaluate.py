"""evaluate: the held-out loss of a model, and its answers to the test questions."""

from pathlib import Path

from finery.data.prepared import read_parquet
from finery.evaluation.calls import matched_calls
from finery.evaluation.loss import losses
from finery.evaluation.report import metrics as summarize
from finery.evaluation.report import refuse_nothing, sample_report
from finery.evaluation.seen import seen_by
from finery.inference.answers import answer
from finery.inference.loading import load_for_inference
from finery.models.finite import insist_on_numbers
from finery.models.load import be_quiet
from finery.models.tokenizer import load_tokenizer
from finery.params.evaluate import EvaluateParams
from finery.to_json import to_json


def evaluate(
    params: EvaluateParams, model: Path, tests: Path, *, samples: Path, metrics: Path
) -> None:
    """Answer every question of `tests` greedily and score the answers.

    `samples` gets one JSON line a question, `metrics` the scores of each dataset and of all.
    Raises `NothingToTest` if there is no question.
    """
    be_quiet()
    insist_on_numbers(model, "make it anew, or take another base model (model.source)")
    rows = read_parquet(tests / "test.parquet")
    refuse_nothing(rows, tests / "test.parquet")
    loaded, tokenizer = load_for_inference(model), load_tokenizer(model)
    seen = seen_by(model, tests)
    each_loss = losses(loaded, rows, params.batch_size, seen)
    prompts = [row["prompt_ids"] for row in rows]
    asked = seen and (lambda batch, tokens: seen([rows[index] for index in batch], tokens))
    answers = answer(loaded, tokenizer, prompts, params.max_new_tokens, params.batch_size, asked)
    calls = matched_calls(loaded, tokenizer, rows, answers)
    reports = [sample_report(*each) for each in zip(rows, answers, each_loss, calls, strict=True)]
    lines = [to_json(report) + "\n" for report in reports]
    samples.write_text("".join(lines), encoding="utf-8")
    text = to_json(summarize(reports), indent=2)
    metrics.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    from finery.stage.run import run

    run(evaluate)
