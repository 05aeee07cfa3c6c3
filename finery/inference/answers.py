"""Answers to questions, many at once."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from finery.inference.batches import batches, fitting
from finery.inference.decoding import Decoding, StopTexts, cut

GREEDY = Decoding()


@dataclass(frozen=True)
class Answer:
    """What the model said; `finished` if it stopped by itself.

    `written` has the control tokens too, which calls of tools are written with.
    """

    text: str
    tokens: int
    finished: bool
    written: str = field(default="", compare=False)


def answer(
    model: Any,
    tokenizer: Any,
    prompts: Sequence[list[int]],
    max_new_tokens: int,
    batch_size: int,
    seen: Callable[[Sequence[int], Any], dict[str, Any]] | None = None,
    decoding: Decoding = GREEDY,
    known: Mapping[int, Answer] = MappingProxyType({}),
    tell: Callable[[Mapping[int, Answer]], None] = lambda _: None,
) -> list[Answer]:
    """Answer each prompt (token ids, as the chat template renders it), in order.

    Prompts of like length are answered together, padded on the left. `seen` gives what the model
    takes beside the tokens of a batch, by the indices of its prompts. Answers that are `known`, by
    the indices of their prompts, are not asked for; `tell` is told of each batch of the others.
    """
    stops = stop_tokens(model)
    unknown = (index for index in range(len(prompts)) if index not in known)
    order = sorted(unknown, key=lambda i: len(prompts[i]))
    seeds = decoding.seeds(prompts) if decoding.temperature else [0] * len(prompts)

    def generate(batch: Sequence[int]) -> list[Answer]:
        import torch

        widths = [len(prompts[i]) for i in batch]
        width = max(widths)
        padding = [width - own for own in widths]
        ends = [StopTexts(tokenizer, decoding.stop, width)] if decoding.stop else []
        ids = [[stops[0]] * pad + prompts[i] for i, pad in zip(batch, padding, strict=True)]
        mask = [[0] * pad + [1] * (width - pad) for pad in padding]
        tokens = torch.tensor(ids, device=model.device)
        with torch.inference_mode():
            output = model.generate(
                input_ids=tokens,
                attention_mask=torch.tensor(mask, device=model.device),
                max_new_tokens=max_new_tokens,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                repetition_penalty=1.0,
                logits_processor=decoding.processors(model, widths, [seeds[i] for i in batch]),
                stopping_criteria=ends,
                pad_token_id=stops[0],
                **(seen(batch, tokens) if seen else {}),
            )
        said = output[:, width:].tolist()
        answers = [decoded(tokenizer, row, stops, decoding.stop) for row in said]
        tell(dict(zip(batch, answers, strict=True)))
        return answers

    found = fitting(generate, batches(order, batch_size, "answers"))
    by_index = dict(zip(order, found, strict=True)) | dict(known)
    return [by_index[index] for index in range(len(prompts))]


def decoded(
    tokenizer: Any, ids: Sequence[int], stops: Sequence[int], texts: Sequence[str] = ()
) -> Answer:
    """What the tokens of an answer say, up to the first that ends it, or one of the stop texts."""
    end = next((i for i, token in enumerate(ids) if token in stops), None)
    kept = ids if end is None else ids[:end]
    text = tokenizer.decode(kept, skip_special_tokens=True).strip()
    written = tokenizer.decode(kept, skip_special_tokens=False).strip()
    if (short := cut(text, texts)) is None:
        return Answer(text, len(kept), end is not None, written)
    whole = cut(written, texts) or ""
    return Answer(short.strip(), len(kept), True, whole.strip())


def stop_tokens(model: Any) -> list[int]:
    """The tokens that end an answer, as the model's generation config has them."""
    eos = model.generation_config.eos_token_id
    return eos if isinstance(eos, list) else [eos]
