"""A step's samples in parts of so many tokens, without padding; what is learnt is the same.

A part is one row: its samples follow each other, positions begin anew with each, and each attends
to itself alone. The parts' losses are divided by what the whole step counts, so that their
gradients add up to those of the step at once. Which samples a step has is not touched.
"""

import inspect
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

import torch

from finery.errors import UserError
from finery.params.by_tokens import tokens_at_once
from finery.params.pace import devices
from finery.params.step import StepParams
from finery.training.packing import samples_meet

IGNORED = -100
ATTENTION = "sdpa_by_sample"
BY_THE_LONGEST = ("dynamic", "longrope")
"""Rotations that follow from the longest sample of a batch."""


class TokensError(UserError):
    """The model or the machine cannot take a step in parts of so many tokens."""


def part_size(params: StepParams, model: Any, sees: bool) -> int | None:
    """How many tokens a part has at most; None: a step is in batches of samples.

    `sees`: the samples may have images. Raises `TokensError` where a number was asked for and
    cannot be had.
    """
    most = tokens_at_once(params, model.device.type != "cpu")
    if most is None:
        return None
    if (hindrance := _hindrance(model, sees)) is None:
        return most
    if params.max_tokens_per_batch == "auto":
        return None
    raise TokensError(
        f"{params.key}.max_tokens_per_batch: {most}: {hindrance}; set it to auto or null"
    )


def _hindrance(model: Any, sees: bool) -> str | None:
    if devices() > 1:
        return "several devices take samples in turn"
    if sees:
        return "images have places in a text of their own"
    rope = getattr(model.config.get_text_config(), "rope_parameters", None) or {}
    kinds = {each.get("rope_type") for each in (rope, *rope.values()) if isinstance(each, dict)}
    if kinds & set(BY_THE_LONGEST):
        return "this model's rotation follows from the longest sample of a batch"
    before = model.config._attn_implementation
    attend_by_sample(model)
    if samples_meet(model, lambda rows: next(split(model, collate(rows), 1000))):
        if model.config._attn_implementation != before:
            model.set_attn_implementation(before)
        return "this model lets samples that follow each other see each other"
    return None


def collate(rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """All samples of a step one after the other: input_ids, labels and attention_mask, of 1 x
    tokens, and `seq_lengths` of the samples. The first token of each is never counted.
    """
    lengths = torch.tensor(
        [n for row in rows for n in row.get("seq_lengths", [len(row["labels"])])]
    )
    ids, labels = (
        torch.cat([torch.as_tensor(row[name]) for row in rows]) for name in ("input_ids", "labels")
    )
    labels[lengths.cumsum(0) - lengths] = IGNORED
    made = {"input_ids": ids[None], "labels": labels[None], "seq_lengths": lengths}
    return made | {"attention_mask": torch.ones_like(ids)[None]}  # by which tokens are counted


def parts(lengths: Sequence[int], most: int) -> list[list[int]]:
    """The numbers of the samples in as few parts of about the same size as `most` tokens allow.

    A sample that is longer is a part by itself. The longest go first, each to the smallest part.
    """
    order = sorted(range(len(lengths)), key=lambda number: -lengths[number])
    most = max(most, lengths[order[0]])
    for count in range(-(-sum(lengths) // most), len(lengths) + 1):
        made: list[list[int]] = [[] for _ in range(count)]
        sizes = [0] * count
        for number in order:
            least = sizes.index(min(sizes))
            made[least].append(number)
            sizes[least] += lengths[number]
        if max(sizes) <= most:
            break
    return made


def split(model: Any, batch: dict[str, torch.Tensor], most: int) -> Iterator[dict[str, Any]]:
    """The parts of what `collate` made, as models of transformers take samples without padding."""
    lengths = batch["seq_lengths"].tolist()
    samples = {name: batch[name][0].cpu().split(lengths) for name in ("input_ids", "labels")}
    apart = model.config._attn_implementation == ATTENTION
    for numbers in parts(lengths, most):
        taken = [lengths[number] for number in numbers]
        made = {k: torch.cat([each[n] for n in numbers])[None] for k, each in samples.items()}
        positions = torch.cat([torch.arange(n) for n in taken])[None]
        yield made | {"position_ids": positions} | ({"sample_lengths": taken} if apart else {})


class ByTokens:
    """For a Trainer of transformers: a step in parts of at most `part_size`; None: as it is.

    Its batches are whole steps then.
    """

    part_size: int | None = None

    def get_train_dataloader(self) -> Any:
        if self.part_size is None:
            return super().get_train_dataloader()
        padded, self.data_collator = self.data_collator, collate
        try:
            return super().get_train_dataloader()
        finally:
            self.data_collator = padded

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> Any:
        if self.part_size is None:
            return super().training_step(model, inputs, num_items_in_batch)
        if num_items_in_batch is None:
            num_items_in_batch = (inputs["labels"] != IGNORED).sum()
        each = split(self.model, inputs, self.part_size)
        return sum(super(ByTokens, self).training_step(model, p, num_items_in_batch) for p in each)


def attend_by_sample(model: Any) -> None:
    """Where the model has torch's attention: have it computed for each sample by itself."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    takes_more = inspect.Parameter.VAR_KEYWORD in {
        each.kind for each in inspect.signature(model.forward).parameters.values()
    }
    if model.config._attn_implementation == "sdpa" and takes_more:
        AttentionInterface.register(ATTENTION, _by_sample)
        AttentionMaskInterface.register(ATTENTION, sdpa_mask)
        model.set_attn_implementation(ATTENTION)


def _by_sample(
    module: Any, query: Any, key: Any, value: Any, attention_mask: Any, **settings: Any
) -> tuple[Any, None]:
    """transformers' attention by torch's kernel, over samples of the same length at once.

    query, key and value are of 1 x heads x tokens x width. A sample's own part of the mask is given
    to the kernel only if it says more than that nothing sees what comes later.
    """
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    lengths = settings.pop("sample_lengths", None)
    if lengths is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **settings)
    made, begin = [], 0
    for length, group in groupby(lengths):
        count = len(list(group))
        end = begin + count * length
        some = [
            each[0, :, begin:end].unflatten(1, (count, length)).transpose(0, 1)
            for each in (query, key, value)
        ]
        mask = _own_mask(attention_mask, begin, length, count)
        out, _ = sdpa_attention_forward(module, *some, mask, **settings)
        made.append(out.flatten(0, 1)[None])
        begin = end
    return torch.cat(made, 1), None


def _own_mask(mask: Any, begin: int, length: int, count: int) -> Any:
    """Of `count` samples of a length from `begin` on; None if it is causal and no more."""
    if mask is None:
        return None
    starts = [begin + number * length for number in range(count)]
    own = torch.stack([mask[0, :, a : a + length, a : a + length] for a in starts])
    return None if bool((own == torch.ones_like(own[0, 0]).tril()).all()) else own
