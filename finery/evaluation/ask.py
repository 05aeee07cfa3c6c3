"""Put the tests to a model: the losses of the references, and answers of its own."""

import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from finery.evaluation.calls import matched_calls
from finery.evaluation.kept import Asked, Said
from finery.evaluation.loss import losses
from finery.evaluation.seen import seen_by
from finery.inference.answers import answer
from finery.inference.decoding import Decoding
from finery.inference.loading import load_for_inference
from finery.models.finite import insist_on_numbers
from finery.models.tokenizer import load_tokenizer
from finery.params.evaluate import EvaluateParams

DECODING = [field.name for field in fields(Decoding)]


def ask(params: EvaluateParams, model: Path, tests: Path, rows: Sequence[dict[str, Any]]) -> Asked:
    """What a model makes of each test; `rows` are those of the folder `tests`.

    Raises `EvaluationError` for a loss that is no number.
    """
    insist_on_numbers(model, "make it anew, or take another base model (model.source)")
    loaded, tokenizer = load_for_inference(model), load_tokenizer(model)
    seen = seen_by(model, tests)
    each_loss = losses(loaded, rows, params.batch_size, seen)
    prompts = [row["prompt_ids"] for row in rows]
    asked = seen and (lambda batch, tokens: seen([rows[index] for index in batch], tokens))
    decoding = Decoding(**{name: getattr(params, name) for name in DECODING})
    sizes = params.max_new_tokens, params.batch_size
    start = time.monotonic()
    answers = answer(loaded, tokenizer, prompts, *sizes, asked, decoding)
    seconds = time.monotonic() - start
    calls = matched_calls(loaded, tokenizer, rows, answers)
    said = [Said(*each) for each in zip(answers, each_loss, calls, strict=True)]
    return Asked(said, round(seconds, 2))
