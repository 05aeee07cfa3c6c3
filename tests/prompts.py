"""Prepared conversations to sample answers for, and a reward function of the user's for them."""

from pathlib import Path
from typing import Any

import torch

from finery import lineage
from finery.data.prepared import write_parquet
from finery.reward_functions import KEPT

TAIL = [10]
"""What the template of the tiny model writes behind an end of turn (2)."""
MANY = "def many(completion):\n    return sum(letter.islower() for letter in completion)\n"


def conversation(generator: torch.Generator, turns: int) -> dict[str, Any]:
    """Tokens of questions and counted answers, each ended by the end of turn."""
    ids, labels = [], []
    for _ in range(turns):
        asked, said = torch.randint(3, 9, (2,), generator=generator).tolist()
        question = torch.randint(50, 300, (asked,), generator=generator).tolist()
        answer = [*torch.randint(50, 300, (said,), generator=generator).tolist(), 2]
        ids += [*question, *answer, *TAIL]
        labels += [-100] * asked + answer + [-100]
    return {"dataset": "d", "input_ids": ids, "labels": labels}


def write_conversations(
    data: Path, rows: int = 11, validation: int = 0, function: str = MANY
) -> Path:
    """Of one and two turns; the function is rewards.py of the step's data."""
    generator = torch.Generator().manual_seed(5)
    made = [conversation(generator, 1 + number % 2) for number in range(rows + validation)]
    write_parquet(data / "train.parquet", "samples", made[:rows])
    write_parquet(data / "validation.parquet", "samples", made[rows:])
    write_parquet(data / "calibration.parquet", "samples", made[:8])
    (data / KEPT).mkdir()
    (data / KEPT / "rewards.py").write_text(function)
    lineage.write(data, [], "prepare@rl", {})
    return data
