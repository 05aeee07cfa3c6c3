"""How the next token is chosen: the likeliest, or one drawn by a seed that is each prompt's own.

What a prompt is answered does not depend on those beside it in the batch, on their number or their
order: padding counts for nothing, and each prompt has random numbers of its own.
"""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Decoding:
    """Settings of the decoding, by transformers' names of them.

    `temperature` 0 is greedy: the likeliest token, always. `top_p` 1 and `top_k` 0 leave all tokens
    in; `repetition_penalty` None is what the model's generation config says. The texts in `stop`
    end an answer, which does not have them.
    """

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    repetition_penalty: float | None = None
    seed: int = 42
    stop: Sequence[str] = ()

    def seeds(self, prompts: Sequence[Sequence[int]]) -> list[int]:
        """A seed for each prompt, of what it says and how often it was there before.

        Another prompt beside it changes nothing.
        """
        before, found = Counter[tuple[int, ...]](), []
        for prompt in map(tuple, prompts):
            said = repr((self.seed, before[prompt], prompt))
            before[prompt] += 1
            found.append(int.from_bytes(hashlib.sha256(said.encode()).digest()[:8]))
        return found

    def processors(self, model: Any, widths: Sequence[int], seeds: Sequence[int]) -> list[Any]:
        """What `generate` is to do with the scores of a batch of prompts, padded on the left.

        `widths` are the prompts' own lengths in tokens, `seeds` the seed of each.
        """
        from transformers import TemperatureLogitsWarper, TopKLogitsWarper, TopPLogitsWarper

        penalty = self.repetition_penalty
        if penalty is None:
            penalty = model.generation_config.repetition_penalty
        found: list[Any] = [_Repetition(penalty, widths)] if penalty not in (None, 1.0) else []
        if not self.temperature:
            return found
        found.append(TemperatureLogitsWarper(float(self.temperature)))
        found += [TopKLogitsWarper(self.top_k)] if self.top_k else []
        found += [TopPLogitsWarper(self.top_p)] if self.top_p < 1 else []
        return [*found, _Drawn(seeds)]


class _Repetition:
    """transformers' penalty, but for tokens that are only padding."""

    def __init__(self, penalty: float, widths: Sequence[int]) -> None:
        from transformers import RepetitionPenaltyLogitsProcessor

        self._penalize = RepetitionPenaltyLogitsProcessor(penalty)
        self._widths = widths

    def __call__(self, ids: Any, scores: Any) -> Any:
        import torch

        padding = max(self._widths) - torch.tensor(self._widths, device=ids.device)
        places = torch.arange(ids.shape[1], device=ids.device)
        padded = places[None] < padding[:, None]
        return self._penalize(torch.where(padded, ids[:, -1:], ids), scores)


class _Drawn:
    """Leaves one token: the first at which the probabilities add up to more than what is drawn."""

    def __init__(self, seeds: Sequence[int]) -> None:
        import numpy as np

        self._generators = [np.random.default_rng(seed) for seed in seeds]

    def __call__(self, ids: Any, scores: Any) -> Any:
        import torch

        drawn = [generator.random() for generator in self._generators]
        added = scores.double().softmax(-1).cumsum(-1)
        wanted = torch.tensor(drawn, device=scores.device, dtype=added.dtype)[:, None]
        token = torch.searchsorted(added, wanted * added[:, -1:], right=True)
        left = torch.full_like(scores, -torch.inf)
        return left.scatter(1, token.clamp(max=scores.shape[1] - 1), 0.0)


class StopTexts:
    """Ends each answer of a batch once it has one of the texts, behind white space at its begin.

    `width` is that of the padded prompts.
    """

    def __init__(self, tokenizer: Any, texts: Sequence[str], width: int) -> None:
        self._tokenizer, self._texts, self._width = tokenizer, texts, width
        self._window = max(len(text.encode()) for text in texts) + 4  # a token has a byte or more

    def __call__(self, ids: Any, scores: Any, **_: Any) -> Any:
        import torch

        start = max(self._width, ids.shape[1] - self._window)
        said = (self._tokenizer.decode(row, skip_special_tokens=True) for row in ids[:, start:])
        said = (text.lstrip() if start == self._width else text for text in said)
        ends = [cut(text, self._texts) is not None for text in said]
        return torch.tensor(ends, device=ids.device)


def cut(text: str, stop: Sequence[str]) -> str | None:
    """A text up to the first of the stop texts in it; None if it has none."""
    places = [place for each in stop if (place := text.find(each)) >= 0]
    return text[: min(places)] if places else None
