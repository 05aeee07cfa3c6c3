"""Prompts to sample answers to: of each prepared sample, what is before its last answer."""

from collections.abc import Callable, Iterator, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np

from finery.errors import UserError
from finery.params.pace import devices
from finery.params.reinforced import ReinforcedParams
from finery.training.checkpoints import ANSWERS
from finery.training.prepared import read_samples

IGNORED = -100
LEAST = 2
"""Tokens of a prompt: texts have their first token before what counts."""


class PromptError(UserError):
    """The prepared samples hold no prompts, or too few."""


def read_prompts(file: Path, params: ReinforcedParams) -> Any:
    """A `datasets.Dataset` of token ids, those of prepare: each sample in three parts.

    `prompt` is all before the last counted span, `reference` that span, the answer that the
    dataset has, and `tail` what the chat template writes behind it; `sample` is the row, from 0.
    Raises `PromptError` for a sample that asks nothing.
    """
    from datasets import Dataset

    rows = [
        {"sample": number} | _parts(row["input_ids"], row["labels"])
        for number, row in enumerate(read_samples(file))
    ]
    for row in rows:
        if len(row["prompt"]) < LEAST:
            raise PromptError(
                f"{file}: row {row['sample']} asks nothing before its answer; {params.key}.data"
                " must hold conversations, and data.train_on_prompt be false"
            )
    return Dataset.from_list(rows)


def _parts(ids: Sequence[int], labels: Sequence[int]) -> dict[str, Sequence[int]]:
    counted = np.asarray(labels) != IGNORED
    if not counted.any():
        return {"prompt": [], "reference": [], "tail": []}
    end = int(np.flatnonzero(counted)[-1]) + 1
    start = int(np.flatnonzero(~counted[:end])[-1]) + 1 if not counted[:end].all() else 0
    return {"prompt": ids[:start], "reference": ids[start:end], "tail": ids[end:]}


def prompts_a_step(params: ReinforcedParams) -> int:
    """How many prompts a step samples answers to, on all devices together."""
    return prod(params.batch) * devices() // params.num_generations


def answers_an_epoch(params: ReinforcedParams, prompts: int) -> int:
    """How many answers are learnt from in an epoch, each num_iterations times.

    None are sampled to the prompts that fill no step.

    Raises `PromptError` if there are too few for one.
    """
    together = prompts_a_step(params)
    if prompts < together:
        raise PromptError(
            f"{params.key}.data leaves {prompts} prompts, and a step takes {together}"
            " (effective batch size / num_generations); name more datasets, or make a step smaller"
        )
    return prompts // together * together * params.num_generations * params.num_iterations


class PromptsInOrder:
    """For TRL's trainers that sample: prompts in an order that follows from seed and epoch alone,
    and answers that outlive a kill.

    TRL's own order goes on from the epoch before, which a resumed run has not seen, and it forgets
    the answers that are still to be learnt from.
    """

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        import torch

        super()._save_checkpoint(model, trial)
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        torch.save({"step": self._step, "parts": self._buffered_inputs}, folder / ANSWERS)

    def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
        import torch

        super()._load_optimizer_and_scheduler(checkpoint)
        if checkpoint is not None:
            kept = torch.load(Path(checkpoint) / ANSWERS, self.args.device, weights_only=True)
            self._step, self._buffered_inputs = kept["step"], kept["parts"]

    def _get_train_sampler(self, dataset: Any = None) -> "RepeatedPrompts":
        return RepeatedPrompts(
            len(self.train_dataset if dataset is None else dataset),
            self.args.generation_batch_size // self.num_generations,
            (self.num_generations, self.args.steps_per_generation * self.num_iterations),
            lambda: (self.args.seed, int(self.state.epoch)),
        )


class RepeatedPrompts:
    """Each step's prompts, anew each epoch: each one `repeats[0]` times in a row, for as many
    answers, and all of them `repeats[1]` times, since the Trainer takes a step in so many parts.
    """

    def __init__(
        self, prompts: int, together: int, repeats: tuple[int, int], state: Callable[[], tuple]
    ) -> None:
        self._prompts, self._together = prompts, together
        self._repeats, self._state = repeats, state

    def __len__(self) -> int:
        whole = self._prompts // self._together * self._together
        return whole * self._repeats[0] * self._repeats[1]

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng(list(self._state())).permutation(self._prompts)
        answers, parts = self._repeats
        for start in range(0, self._prompts - self._together + 1, self._together):
            chosen = order[start : start + self._together]
            yield from np.tile(chosen.repeat(answers), parts).tolist()
