"""The largest batch of a step of the training, from its samples or, before them, its settings."""

from pathlib import Path
from typing import Any

from finery import lineage
from finery.check.memory.activations import Batch
from finery.params.step import StepParams

PAIRED = {"dpo", "orpo", "cpo", "simpo", "reward"}
"""Methods whose samples are two rows, the better answer and the worse."""
IGNORED = -100


def longest_batch(params: StepParams, cutoff_len: int) -> Batch:
    """Rows of the greatest length, all of it counted: what may come of samples not yet there."""
    rows = params.batch[0] * (2 if params.method in PAIRED else 1)
    length = cutoff_len + _answers(params)
    return Batch(rows, length, rows * length, length, padded=rows > 1)


def prepared_batch(params: StepParams, data: Path, cutoff_len: int) -> Batch:
    """The longest samples of `data`/train.parquet at once, as batches of like lengths have them.

    Samples that have no tokens yet may be as long as `cutoff_len`.
    """
    import pyarrow.parquet as pq

    table = pq.read_table(data / "train.parquet")
    names = [name for name in table.column_names if name.endswith("input_ids")]
    if not names or not table.num_rows:
        return longest_batch(params, cutoff_len)
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


def _answers(params: StepParams) -> int:
    """Tokens that a step of reinforcement learning adds to each prompt."""
    return getattr(params, "max_completion_length", 0)


def _lengths(table: Any, names: list[str]) -> list[int]:
    """Of each sample, in tokens; of the longer one where a sample is two."""
    import pyarrow.compute as pc

    each = [pc.list_value_length(table[name]) for name in names]
    return (pc.max_element_wise(*each) if len(each) > 1 else each[0]).to_pylist()
