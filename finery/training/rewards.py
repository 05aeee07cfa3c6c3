"""What answers are rewarded by: functions of the user's, and a reward model."""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

from finery.errors import UserError
from finery.models.load import compute_dtype
from finery.models.scoring import load_scorer
from finery.reward_functions import GIVEN, KEPT
from finery.user_functions import Failed, guarded, loaded, number, short

TRIED = 8
"""Samples whose reference answers a function is tried on before there is a model."""


class RewardError(UserError):
    """A reward function failed, or gave something that is no reward."""


@dataclass(frozen=True)
class Texts:
    """Tokens as a reward function sees them; `stops` are the tokens that end an answer."""

    tokenizer: Any
    stops: Sequence[int]

    def prompt(self, ids: Sequence[int]) -> str:
        """With its control tokens: the model is asked like this."""
        return self.tokenizer.decode(ids)

    def answer(self, ids: Sequence[int]) -> str:
        """Without them, and without the end of its turn."""
        said = ids[:-1] if len(ids) and ids[-1] in self.stops else ids
        return self.tokenizer.decode(said, skip_special_tokens=True).strip()


class RewardFunction:
    """A function of the user's, as TRL calls one: all answers of a batch at once."""

    def __init__(self, data: Path, named: str, key: str, texts: Texts) -> None:
        file, _, self.__name__ = named.partition(":")
        self._said, self._texts = f"{key}: {named}", texts
        self._file = data / KEPT / file
        self._function = self._load()
        taken = inspect.signature(self._function).parameters
        every = any(each.kind is each.VAR_KEYWORD for each in taken.values())
        self._taken = [name for name in GIVEN if every or name in taken]

    def __call__(
        self,
        prompts: Sequence[Sequence[int]],
        completion_ids: Sequence[Sequence[int]],
        reference: Sequence[Sequence[int]],
        sample: Sequence[int],
        **_: Any,
    ) -> list[float]:
        rows = zip(prompts, completion_ids, reference, sample, strict=True)
        return [self._reward(*row) for row in rows]

    def try_on(self, samples: Any) -> None:
        """Reward the first reference answers. Raises `RewardError` if that fails."""
        for row in samples.select(range(min(TRIED, len(samples)))):
            self._reward(row["prompt"], row["reference"], row["reference"], row["sample"])

    def _reward(self, prompt: Any, completion: Any, reference: Any, sample: int) -> float:
        answer = self._texts.answer
        given = self._texts.prompt(prompt), answer(completion), answer(reference)
        texts = dict(zip(GIVEN, given, strict=True))
        where = f" of row {sample}, completion {short(texts['completion'])}"
        try:
            value = guarded(self._file, self._function, **{n: texts[n] for n in self._taken})
        except Failed as failed:
            raise RewardError(f"{self._said}{failed}{where}") from failed
        try:
            return number(value)
        except Failed as failed:
            due = "a finite number" if isinstance(value, Real) else "a number"
            raise RewardError(f"{self._said}{failed}{where}; {due} is due") from None

    def _load(self) -> Callable[..., Any]:
        try:
            return loaded(self._file, self.__name__)
        except Failed as failed:
            raise RewardError(f"{self._said}{failed}") from failed


class RewardModel:
    """A reward model, as TRL calls a function: it scores the tokens that there are, at their last.

    Behind an answer that ends its turn comes what the chat template writes there, as it was in
    training; it scores `together` texts at once.
    """

    __name__ = "reward_model"

    def __init__(self, model: Path, end: int | None, together: int) -> None:
        from accelerate import PartialState

        self._model = load_scorer(model, compute_dtype()).to(PartialState().device)
        self._padding = self._model.config.get_text_config().pad_token_id
        self._end, self._together = end, together

    def __call__(
        self,
        prompts: Sequence[Sequence[int]],
        completion_ids: Sequence[Sequence[int]],
        tail: Sequence[Sequence[int]],
        **_: Any,
    ) -> list[float]:
        rows = [
            [*prompt, *ids, *(behind if ids[-1] == self._end else ())]
            for prompt, ids, behind in zip(prompts, completion_ids, tail, strict=True)
        ]
        starts = range(0, len(rows), self._together)
        return [score for at in starts for score in self._scores(rows[at : at + self._together])]

    def _scores(self, rows: Sequence[Sequence[int]]) -> list[float]:
        import torch
        from torch.nn.utils.rnn import pad_sequence

        ids = [torch.tensor(row) for row in rows]
        given = {
            "input_ids": pad_sequence(ids, True, self._padding),
            "attention_mask": pad_sequence([torch.ones_like(row) for row in ids], True, 0),
        }
        given = {name: value.to(self._model.device) for name, value in given.items()}
        with torch.inference_mode():
            return self._model(**given, use_cache=False).logits[:, 0].float().tolist()
