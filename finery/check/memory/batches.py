"""The largest batch of a step of the training, from its samples or, before them, its settings."""

from pathlib import Path
from typing import Any

from finery import lineage
from finery.check.memory.activations import Batch
from finery.params.by_tokens import tokens_at_once
from finery.params.pace import samples_of_a_step
from finery.params.step import StepParams

PAIRED = {"dpo", "orpo", "cpo", "simpo", "reward"}
"""Methods whose samples are two rows, the better answer and the worse."""
IGNORED = -100


def longest_batch(params: StepParams, cutoff_len: int, gpu: bool = False) -> Batch:
    """Rows of the greatest length, all of it counted: what may come of samples not yet there."""
    if most := tokens_at_once(params, gpu):
        length = max(cutoff_len, min(most, cutoff_len * samples_of_a_step(params)))
        return Batch(1, length, length, length, padded=False)
    rows = params.batch[0] * (2 if params.method in PAIRED else 1)
    length = cutoff_len + _answers(params)
    return Batch(rows, length, rows * length, length, padded=rows > 1)


def prepared_batch(params: StepParams, data: Path, cutoff_len: int, gpu: bool = False) -> Batch:
    """The longest samples of `data`/train.parquet at once, as batches of like lengths have them.

    Samples that have no tokens yet may be as long as `cutoff_len`.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(data / "train.parquet")
    names = [name for name in table.column_names if name.endswith("input_ids")]
    if not names or not table.num_rows:
        return longest_batch(params, cutoff_len, gpu)
    if most := tokens_at_once(params, gpu):
        return _part(table, most, samples_of_a_step(params))
    (prepared,) = lineage.of(lineage.read(data), "prepare").values() or [{}]
    taken = params.batch[0]
    rows, lengths = taken * len(names), _lengths(table, names)
    if packed := prepared.get("packed_to"):
        return Batch(rows, packed, rows * packed, packed, padded=True)
    longest = sorted(range(len(lengths)), key=lambda row: -lengths[row])[:taken]
    length = lengths[longest[0]] + _answers(params)
    if "labels" not in table.column_names:
        return Batch(rows, length, rows * length, length, rows > 1)
    labels = [table["labels"][row].as_py() for row in longest]
    marked = [{at for at, label in enumerate(row) if label != IGNORED} for row in labels]
    counted, columns = sum(map(len, marked)), len(set().union(*marked))
    return Batch(rows, length, counted, columns, rows > 1)


def _part(table: Any, most: int, rows: int) -> Batch:
    """The longest samples of a step, as many as fit into a part of `most` tokens: one at least."""
    labels = sorted(table["labels"].to_pylist(), key=len, reverse=True)[:rows]
    ends = [sum(map(len, labels[: count + 1])) for count in range(len(labels))]
    taken = labels[: max(1, sum(end <= most for end in ends))]
    counted = sum(label != IGNORED for row in taken for label in row)
    return Batch(1, sum(map(len, taken)), counted, counted, padded=False)


def _answers(params: StepParams) -> int:
    """Tokens that a step of reinforcement learning adds to each prompt."""
    return getattr(params, "max_completion_length", 0)


def _lengths(table: Any, names: list[str]) -> list[int]:
    """Of each sample, in tokens; of the longer one where a sample is two."""
    import pyarrow.compute as pc

    each = [pc.list_value_length(table[name]) for name in names]
    return (pc.max_element_wise(*each) if len(each) > 1 else each[0]).to_pylist()
