"""Samples put together into rows of a full length, in which they do not see each other.

Positions start anew with each sample, and no attention mask is given: that is how transformers
tells packed samples from one long one, and it masks each from all others (block-diagonally).
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from finery.errors import UserError
from finery.params.step import StepParams
from finery.training.prepared import DATASET, by_dataset

IGNORED = -100
ONE, OTHER, SECOND = range(5, 29), range(29, 53), range(20, 40)
"""Tokens of samples that a model is tried on; longer ones may be put before shorter ones."""


class PackingError(UserError):
    """The model cannot be trained on packed samples."""


def packed(samples: Any, length: int) -> Any:
    """The samples as few rows of at most `length` tokens (best fit, longest first).

    `seq_lengths` has the lengths of the samples in a row. The same samples give the same rows.
    """
    from trl import pack_dataset

    if not len(samples):
        return samples
    settings = {"batch_size": None, "keep_in_memory": True, "desc": "packing"}
    return pack_dataset(samples, length, "bfd", settings)


def packed_apart(samples: Any, length: int) -> Any:
    """The same, no row having samples of two datasets; its column `dataset` says which."""
    from datasets import concatenate_datasets

    rows = []
    for name, part in by_dataset(samples).items():
        made = packed(part.remove_columns(DATASET), length)
        rows.append(made.add_column(DATASET, [name] * len(made)))
    return concatenate_datasets(rows) if rows else samples


def collate(rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """A batch of packed rows: input_ids, labels and position_ids, of batch x longest row.

    The first token of a sample is never counted: what is before it is another sample.
    """
    from torch.nn.utils.rnn import pad_sequence

    def padded(values: list[Any], with_value: int) -> torch.Tensor:
        return pad_sequence([torch.as_tensor(each) for each in values], True, with_value)

    positions = [torch.cat([torch.arange(n) for n in row["seq_lengths"]]) for row in rows]
    batch = {
        "input_ids": padded([row["input_ids"] for row in rows], 0),
        "labels": padded([row["labels"] for row in rows], IGNORED),
        "position_ids": padded(positions, 0),
    }
    batch["labels"][batch["position_ids"] == 0] = IGNORED
    return batch


def refuse_if_samples_meet(model: Any, params: StepParams) -> None:
    """Raises `PackingError` if what a packed sample says reaches the sample after it.

    Some models keep a state along the row, or bring an attention that ignores positions.
    """
    if samples_meet(model, collate):
        raise PackingError(
            "this model lets packed samples see each other: it keeps a state along the row, or its"
            f" attention ignores where a sample begins; set {params.key}.data.packing: false"
        )


def samples_meet(model: Any, collate: Callable[[list[dict[str, Any]]], dict[str, Any]]) -> bool:
    """Whether a sample reaches the one after it in what `collate` makes of packed rows.

    Another first sample must not change the logits of the second, but for rounding: by less than
    half of what it changes in one long sample. The model is tried as it trains: layers in GPTQ or
    AWQ whose first use is another are never trained afterwards.
    """
    was_training = model.training
    with torch.no_grad(), torch.random.fork_rng():
        model.train()
        changes = [
            (_seconds_logits(model, ONE, apart, collate)
             - _seconds_logits(model, OTHER, apart, collate)).abs().mean()
            for apart in (True, False)
        ]  # fmt: skip
        model.train(was_training)
    return not changes[0] < changes[1] / 2


def _seconds_logits(
    model: Any, first: Sequence[int], apart: bool, collate: Callable[..., dict[str, Any]]
) -> torch.Tensor:
    """What the model makes of `SECOND` behind `first`, as two samples or as one."""
    ids = [*first, *SECOND]
    lengths = [len(first), len(SECOND)] if apart else [len(ids)]
    batch = collate([{"input_ids": ids, "labels": ids, "seq_lengths": lengths}])
    given = {
        key: value.to(model.device) if isinstance(value, torch.Tensor) else value
        for key, value in batch.items()
        if key != "labels"
    }
    torch.manual_seed(0)  # the same dropout for all
    return model(**given, use_cache=False).logits[0, len(first) :].float()
