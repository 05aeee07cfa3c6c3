"""The questions in a file: rows of a dataset, or messages and prompts as scripts write them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finery.answering.messages import MessageError
from finery.answering.prompts import Prompts
from finery.answering.sampling import Sampling
from finery.answering.scripted import KEYS, Manner, asked
from finery.answering.sight import images_of
from finery.data.datasets.dataset_info import DATASET_INFO, find
from finery.data.datasets.entries import Entry
from finery.data.formats.dataset import Dataset
from finery.data.rendering.chat import Problem, Renderer
from finery.data.rows.bad_rows import BadRow
from finery.data.rows.files import TYPES, Row, read_rows
from finery.errors import UserError

UNANSWERED = "-"
"""In the place of an answer that a row does not have."""


class QuestionError(UserError):
    """A row of the file asks nothing that can be answered."""


@dataclass(frozen=True)
class Question:
    """A row's prompt in tokens, what it shows, its tools, and the answer that it has, if any."""

    prompt: list[int]
    images: Sequence[Path] = ()
    tools: Sequence[dict[str, Any]] = ()
    label: str | None = None


def read_questions(file: Path, prompts: Prompts, renderer: Renderer) -> list[Question]:
    """All questions of a file. Raises `QuestionError` for the first row that is none, and counts
    the others; `DataError` for a file that cannot be read.

    The rows are as dataset_info.json beside the file says, if it names it; else alpaca's columns,
    sharegpt's `conversations`, or `messages`, `prompt` or `question` as `finery chat --jsonl` has.
    """
    if not file.is_file():
        raise QuestionError(f"{file}: no such file")
    if file.suffix not in TYPES:
        raise QuestionError(f"{file}: must be {', '.join(TYPES)}; rename or convert it")
    dataset = _listed(file, renderer.sees)
    found, wrong = [], []
    for row in read_rows(file):
        try:
            found.append(_question(row, dataset, file, prompts, renderer))
        except UserError as error:
            wrong.append(str(error))
    if wrong:
        more = f" ({len(wrong) - 1} more rows are wrong)" if wrong[1:] else ""
        raise QuestionError(f"{wrong[0]}{more}")
    return found


def _listed(file: Path, seeing: bool) -> Dataset | None:
    """The dataset that the file is of, if dataset_info.json beside it has it."""
    info = file.parent / DATASET_INFO
    if not info.is_file():
        return None
    try:
        entries = json.loads(info.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise QuestionError(f"{info}: not JSON ({error})") from None
    for name, entry in entries.items() if isinstance(entries, dict) else ():
        if isinstance(entry, dict) and entry.get("file_name") == file.name:
            return _dataset(name, find(file.parent, name), file, seeing)
    return None


def _dataset(name: str, entry: Entry, file: Path, seeing: bool) -> Dataset:
    return Dataset(name, entry, (file,), (str(file),), file.parent / DATASET_INFO, None, seeing)


def _question(
    row: Row | BadRow, dataset: Dataset | None, file: Path, prompts: Prompts, renderer: Renderer
) -> Question:
    if isinstance(row, BadRow):
        raise QuestionError(str(row))
    place = f"{row.file}: row {row.number}"
    if dataset is None and row.values.keys() & {"messages", "prompt", "question"}:
        return _scripted(row, place, prompts)
    dataset = dataset or _dataset(file.stem, _guessed(row, place), file, renderer.sees)
    if dataset.kind != "chat":
        raise QuestionError(f"{place}: holds no conversations; ask with instructions or messages")
    return _of_dataset(row, dataset, place, renderer)


def _scripted(row: Row, place: str, prompts: Prompts) -> Question:
    values = {key: value for key, value in row.values.items() if value is not None}
    label = values.pop("label", None)
    if label is not None and not isinstance(label, str):
        raise QuestionError(f"{place}: label: must be a text")
    request = asked(json.dumps(values), Manner(Sampling()), place)
    messages = list(request.messages)
    if label is None and messages[-1]["role"] == "assistant" and len(messages) > 1:
        label = messages.pop().get("content") or None
    try:
        images = images_of(messages)
        ids = prompts.tokens(prompts.text(messages, request.tools), images)
    except UserError as error:
        raise MessageError(f"{place}: {error}") from None
    return Question(ids, images, request.tools, label)


def _guessed(row: Row, place: str) -> Entry:
    """The format of a row by its columns, which have LLaMA-Factory's names."""
    if "conversations" in row.values:
        return Entry(file_name=Path(row.file).name, formatting="sharegpt")
    if "instruction" in row.values:
        return Entry(file_name=Path(row.file).name)
    raise QuestionError(
        f"{place}: has {', '.join(row.values) or 'no columns'}; name {', '.join(KEYS[:3])},"
        f" instruction or conversations, or list the file in {DATASET_INFO} beside it"
    )


def _of_dataset(row: Row, dataset: Dataset, place: str, renderer: Renderer) -> Question:
    columns = dataset.entry.columns
    response = columns.response if dataset.entry.formatting == "alpaca" else None
    unanswered = bool(response) and not row.values.get(response)
    if unanswered:
        row = row._replace(values=row.values | {response: UNANSWERED})
    example = dataset.example(row)
    if isinstance(example, BadRow):
        raise QuestionError(str(example))
    (sample,) = renderer.encode([example])  # which refuses what `prompts` does not look at
    if isinstance(sample, Problem):
        raise QuestionError(f"{place}: {sample.problem}")
    (ids,) = renderer.prompts([example])
    label = None if unanswered else example.reference
    images = [Path(image.file) for image in example.images]
    return Question(ids.tolist(), images, example.tools, label)
