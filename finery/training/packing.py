"""Samples put together into rows of a full length, in which they do not see each other.

Positions start anew with each sample, and no attention mask is given: that is how transformers
tells packed samples from one long one, and it masks each from all others (block-diagonally).
"""

from collections.abc import Sequence
from typing import Any

import torch

from finery.errors import UserError

IGNORED = -100
PROBE = (range(5, 12), range(7, 18), range(9, 14))


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


def refuse_if_samples_meet(model: Any) -> None:
    """Raises `PackingError` if packed samples do not get from `model` what they get alone.

    Some models keep a state along the row, or bring an attention that ignores positions.
    """
    rows = [_row([ids]) for ids in PROBE]
    with torch.no_grad():
        alone = torch.cat([_logits(model, row) for row in rows])
        difference = (_logits(model, _row(PROBE)) - alone).abs().max() / alone.abs().max()
    if not difference < 0.05:
        raise PackingError(
            "in this model packed samples see each other (their logits change by"
            f" {difference:.0%}); set data.packing: false"
        )


def _row(samples: Sequence[Sequence[int]]) -> dict[str, list[int]]:
    ids = [token for sample in samples for token in sample]
    return {"input_ids": ids, "labels": ids, "seq_lengths": [len(sample) for sample in samples]}


def _logits(model: Any, row: dict[str, Any]) -> torch.Tensor:
    batch = {key: value.to(model.device) for key, value in collate([row]).items()}
    del batch["labels"]
    return model(**batch, use_cache=False).logits[0].float()
