"""Does every metric that a rule asks for have something in the tests to measure?"""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

from finery.data.datasets.dataset_info import find
from finery.data.errors import DataError
from finery.data.formats.dataset import open_dataset
from finery.data.formats.examples import Example
from finery.params.schema import Params

LOOKED_AT = 20_000
"""Rows of a dataset at most: less than a second."""
TEXTS = dict.fromkeys(("bleu", "chrf", "rouge", "f1"), "texts")
NEEDED = {"keyword_match": "keywords", "call_match": "calls"} | TEXTS
"""What the metrics of Finery's need of a row."""
LACKING = {
    "keywords": "no row of it has keywords; give it a `keywords` column",
    "calls": "no row of it ends in a call of a tool; use exact_match",
    "texts": "all rows of it end in calls of tools, which are no texts; use call_match",
}


def unmeasurable(params: Params) -> list[str]:
    """What is wrong with the metrics of `gate` and `release`: a line for each that will be missing.

    Reads the test datasets as far as it takes to know, some thousand rows at most. What is not
    known is no problem here: datasets that are elsewhere or cannot be read.
    """
    needs = {
        number: NEEDED[metric]
        for number, metric in params.evaluate.given.items()
        if metric in NEEDED
    }
    wanted = {key: metric.rpartition(".") for key, metric in params.asked_metrics.items()}
    needed = {needs[number] for _, _, number in wanted.values() if number in needs}
    if not needed:
        return []
    given = {name: _given(params, name, needed) for name in params.data.test}
    return [
        f"{key}: {dataset}.{number} cannot be measured: {LACKING[needs[number]]}"
        + _where_else(given, needs[number])
        for key, (dataset, _, number) in wanted.items()
        if number in needs and _is_missing(given, dataset, needs[number])
    ]


def _given(params: Params, name: str, needed: set[str]) -> set[str] | None:
    """What of the needed a dataset has; None if that cannot be known quickly."""
    folder, found, count = Path(params.data.dataset_dir), set[str](), 0
    try:
        entry = find(folder, name)
        if entry.remote or entry.columns.images:
            return None
        dataset = open_dataset(folder, name, params.data.variables)
        for count, row in enumerate(islice(dataset, params.data.max_samples), 1):
            found |= _has(row) if isinstance(row, Example) else set()
            if needed <= found or count == LOOKED_AT:
                break
    except DataError:
        return None
    return found if needed <= found or count < LOOKED_AT else None


def _has(example: Example) -> set[str]:
    return {"calls" if example.calls else "texts"} | ({"keywords"} if example.keywords else set())


def _is_missing(given: Mapping[str, set[str] | None], dataset: str, need: str) -> bool:
    of = given.values() if dataset == "all" else [given[dataset]]
    return all(found is not None and need not in found for found in of)


def _where_else(given: Mapping[str, set[str] | None], need: str) -> str:
    having = [name for name, found in given.items() if found and need in found]
    return f" (found in {', '.join(having)})" if having else ""
