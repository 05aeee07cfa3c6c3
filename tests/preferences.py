"""Prepared preferences and verdicts, and what a model makes of them, computed by hand."""

from pathlib import Path
from typing import Any

import torch

from finery.data.prepared import write_parquet

IGNORED = -100
KINDS = {"kto": "kto"}
"""The kind of samples of a method, if not preferences."""


def answer(ids: list[int], size: int, generator: torch.Generator) -> tuple[list[int], list[int]]:
    """`ids` with `size` more tokens, of which all but the third count: a mask of two turns."""
    more = torch.randint(5, 300, (size,), generator=generator).tolist()
    labels = [IGNORED] * len(ids) + [t if n != 2 else IGNORED for n, t in enumerate(more)]
    return ids + more, labels


def samples(method: str, rows: int, seed: int = 5) -> list[dict[str, Any]]:
    """Rows of a prepared file, of 8 to 30 tokens; every third verdict is a bad one."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.randint(4, 16, (rows, 3), generator=generator).tolist()
    made = []
    for number, (asked, *answers) in enumerate(sizes):
        question = torch.randint(5, 300, (asked,), generator=generator).tolist()
        (ids, labels), (others, other_labels) = (
            answer(question, size, generator) for size in answers
        )
        row = {"dataset": "d", "input_ids": ids, "labels": labels}
        if KINDS.get(method) == "kto":
            made.append(row | {"desirable": number % 3 > 0})
        else:
            made.append(row | {"rejected_input_ids": others, "rejected_labels": other_labels})
    return made


def write_samples(data: Path, method: str, rows: int = 23, validation: int = 0) -> Path:
    kind = KINDS.get(method, "preference")
    write_parquet(data / "train.parquet", kind, samples(method, rows))
    write_parquet(data / "validation.parquet", kind, samples(method, validation, seed=6))
    return data


def logps(model: Any, ids: list[int], labels: list[int]) -> torch.Tensor:
    """The log-probability of each counted token, of one sample alone, from the whole logits."""
    logits = model(input_ids=torch.tensor([ids])).logits[0].double().log_softmax(-1)
    counted = [n for n in range(1, len(ids)) if labels[n] != IGNORED]
    return torch.stack([logits[n - 1, ids[n]] for n in counted])


def moved(model: Any) -> None:
    """The adapter made to say something: its B begins as zeros."""
    generator = torch.Generator().manual_seed(0)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(std=0.05, generator=generator)
