"""`finery predict`: a variant's answers to a file of questions, as the evaluation gets them."""

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from finery.answering.files import write_text
from finery.answering.loading import loaded
from finery.answering.prompts import Prompts, trained_keywords
from finery.answering.sampling import Sampling
from finery.answering.variants import Variant, variant
from finery.data.rendering.chat import Renderer
from finery.errors import UserError
from finery.inference.answers import Answer, answer
from finery.inference.call_syntax import call_reader
from finery.inference.decoding import Decoding
from finery.models.pictures import Pictures
from finery.predicting.kept import Kept
from finery.predicting.questions import Question, read_questions

GREEDY = Sampling(max_new_tokens=128)
"""As the evaluation is, whatever the model's generation config says."""


class UsageError(UserError):
    """What is asked for cannot be done."""


@dataclass(frozen=True)
class Wanted:
    """What the command line says; `sampling` has what differs from the evaluation's."""

    variant: str
    questions: Path
    output: Path | None = None
    batch_size: int = 8
    sampling: Mapping[str, Any] = field(default_factory=dict)
    base: Path | None = None


def predict(wanted: Wanted, fetched: Callable[[str], Path]) -> None:
    """Write a line of JSON for each question, in their order, to a file or standard output.

    A run that was cut off goes on where it was, if it writes to a file. Raises `UserError` for
    what is wrong, before the model is loaded.
    """
    sampling = GREEDY.changed(**wanted.sampling)
    found = variant(wanted.variant, fetched, wanted.base)
    output = wanted.output
    if output and (output.is_dir() or not output.parent.is_dir()):
        raise UsageError(f"{output}: cannot be written there; name a file in a folder that exists")
    tokenizer, _ = loaded(found, with_model=False)
    pictures = Pictures.of(found.folder)
    keywords = trained_keywords(found.adapter or found.folder)
    questions = read_questions(
        wanted.questions,
        Prompts(found.folder, tokenizer, found.adapter),
        Renderer(tokenizer, keywords=keywords, pictures=pictures),
    )
    given = {key: value for key, value in sampling.model_dump().items() if key in _DECODING}
    if "repetition_penalty" not in wanted.sampling:
        given["repetition_penalty"] = None
    decoding = Decoding(**given | {"seed": 42 if sampling.seed is None else sampling.seed})
    kept = Kept(output, _key(found, questions, decoding, sampling)) if output else None
    seen = _seen(pictures, questions)
    answers = answer(
        loaded(found)[1], tokenizer, [question.prompt for question in questions],
        sampling.max_new_tokens, wanted.batch_size, seen, decoding,
        *((kept.answers, kept.add) if kept else ()),
    )  # fmt: skip
    lines = _lines(tokenizer, questions, answers)
    if output and kept:
        write_text(output, lines)
        kept.forget()
    else:
        sys.stdout.write(lines)


_DECODING = {"temperature", "top_p", "top_k", "repetition_penalty", "stop"}


def _seen(pictures: Pictures | None, questions: Sequence[Question]) -> Any:
    if pictures is None:
        return None

    def seen(batch: Sequence[int], tokens: Any) -> dict[str, Any]:
        return pictures.inputs([image for i in batch for image in questions[i].images], tokens)

    return seen


def _lines(tokenizer: Any, questions: Sequence[Question], answers: Sequence[Answer]) -> str:
    """What the file says: the prompt as the template renders it, and what came of it."""
    reader = call_reader(tokenizer) if any(question.tools for question in questions) else None
    lines = []
    for question, said in zip(questions, answers, strict=True):
        line: dict[str, Any] = {
            "prompt": tokenizer.decode(question.prompt),
            "answer": said.text,
            "finish_reason": "stop" if said.finished else "length",
        }
        if reader and question.tools and (calls := reader(said.written)):
            line["tool_calls"] = list(calls)
        line |= {"label": question.label} if question.label is not None else {}
        lines.append(json.dumps(line, ensure_ascii=False) + "\n")
    return "".join(lines)


def _key(
    found: Variant, questions: Sequence[Question], decoding: Decoding, sampling: Sampling
) -> str:
    """What the answers depend on: the model's files as they are, the prompts, the settings."""
    folders = [folder for folder in (found.folder, found.adapter) if folder]
    files = sorted(file for folder in folders for file in folder.iterdir() if file.is_file())
    states = [(str(file), (state := file.stat()).st_size, state.st_mtime_ns) for file in files]
    asked = [[each.prompt, list(map(str, each.images))] for each in questions]
    said = [states, asked, asdict(decoding), sampling.max_new_tokens]
    return hashlib.sha256(json.dumps(said).encode()).hexdigest()
