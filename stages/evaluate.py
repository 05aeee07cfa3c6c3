"""evaluate: the held-out loss of a model, and its answers to the test questions."""

import json
from pathlib import Path

from finery.data.prepared import read_parquet
from finery.evaluation.answers import answer
from finery.evaluation.loading import load_for_evaluation
from finery.evaluation.loss import losses
from finery.evaluation.report import metrics as summarize
from finery.evaluation.report import sample_report
from finery.models.load import be_quiet
from finery.models.tokenizer import load_tokenizer
from finery.params.evaluate import EvaluateParams


def evaluate(
    params: EvaluateParams, model: Path, tests: Path, *, samples: Path, metrics: Path
) -> None:
    """Answer every question of `tests` greedily and score the answers.

    `samples` gets one JSON line a question, `metrics` the scores of each dataset and of all.
    """
    be_quiet()
    rows = read_parquet(tests / "test.parquet")
    loaded = load_for_evaluation(model)
    each_loss = losses(loaded, rows, params.batch_size)
    prompts = [row["prompt_ids"] for row in rows]
    answers = answer(
        loaded, load_tokenizer(model), prompts, params.max_new_tokens, params.batch_size
    )
    reports = [sample_report(*each) for each in zip(rows, answers, each_loss, strict=True)]
    lines = [json.dumps(report, ensure_ascii=False) + "\n" for report in reports]
    samples.write_text("".join(lines), encoding="utf-8")
    text = json.dumps(summarize(reports), indent=2)
    metrics.write_text(text + "\n")
    print(text)


if __name__ == "__main__":
    from finery.stage.run import run

    run(evaluate)
