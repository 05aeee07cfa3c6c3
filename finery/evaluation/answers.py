"""Greedy answers to the test questions."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from finery.evaluation.batches import batches, fitting


@dataclass(frozen=True)
class Answer:
    """What the model said; `finished` if it stopped by itself."""

    text: str
    tokens: int
    finished: bool


def answer(
    model: Any, tokenizer: Any, prompts: Sequence[list[int]], max_new_tokens: int, batch_size: int
) -> list[Answer]:
    """Answer each prompt (token ids, as the chat template renders it), greedily, in order.

    Prompts of like length are answered together, padded on the left.
    """
    stops = _stops(model)
    order = sorted(range(len(prompts)), key=lambda i: len(prompts[i]))

    def generate(batch: Sequence[int]) -> list[Answer]:
        import torch

        width = max(len(prompts[i]) for i in batch)
        padding = [width - len(prompts[i]) for i in batch]
        ids = [[stops[0]] * pad + prompts[i] for i, pad in zip(batch, padding, strict=True)]
        mask = [[0] * pad + [1] * (width - pad) for pad in padding]
        with torch.inference_mode():
            output = model.generate(
                input_ids=torch.tensor(ids, device=model.device),
                attention_mask=torch.tensor(mask, device=model.device),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                pad_token_id=stops[0],
            )
        return [_answer(tokenizer, row, stops) for row in output[:, width:].tolist()]

    found = fitting(generate, batches(order, batch_size, "answers"))
    by_index = dict(zip(order, found, strict=True))
    return [by_index[index] for index in range(len(prompts))]


def _answer(tokenizer: Any, ids: list[int], stops: list[int]) -> Answer:
    end = next((i for i, token in enumerate(ids) if token in stops), None)
    kept = ids if end is None else ids[:end]
    text = tokenizer.decode(kept, skip_special_tokens=True).strip()
    return Answer(text, len(kept), end is not None)


def _stops(model: Any) -> list[int]:
    """The tokens that end an answer, as the model's generation config has them."""
    eos = model.generation_config.eos_token_id
    return eos if isinstance(eos, list) else [eos]
