"""Rows of a dataset as the tokens that a step learns, to be held against another's."""

from itertools import islice
from pathlib import Path
from typing import Any

from finery.data.formats.dataset import open_dataset
from finery.data.rendering.chat import Problem, Renderer
from finery.data.rendering.samples import Sample
from finery.data.rows.bad_rows import BadRow
from finery.models.pictures import Pictures
from finery.models.seeing import sees
from finery.models.tokenizer import load_tokenizer
from finery.params.schema import Params

Pair = tuple[list[int], list[int]]


def step_tokens(
    params: Params, base: Path, step: str, name: str, count: int
) -> tuple[list[tuple[int, list[Pair]]], list[str]]:
    """Of the first `count` rows the number, and tokens with labels: two pairs of a preference.

    Words in double braces stay, and nothing is packed. Second, what is wrong with rows that cannot
    be used, a line each. Raises `DataError` if there is no such dataset.
    """
    data = params.data_of(step).model_copy(update={"packing": False})
    dataset = open_dataset(Path(data.dataset_dir), name, None, sees(base))
    renderer = Renderer.by(data, load_tokenizer(base), Pictures.of(base))
    found: list[tuple[int, list[Pair]]] = []
    wrong = []
    for row in islice(dataset, count):
        result: Any = row if isinstance(row, BadRow) else renderer.encode([row])[0]
        if isinstance(result, BadRow | Problem):
            wrong.append(f"{row.row}: cannot be used here: {result.problem}")
        elif result.trained_tokens:
            found.append((row.row, [_pair(each) for each in (result, result.rejected) if each]))
        else:
            wrong.append(f"{row.row}: {data.key('cutoff_len')} leaves nothing to train on")
    return found, wrong


def _pair(sample: Sample) -> Pair:
    return sample.input_ids.tolist(), sample.labels.tolist()
