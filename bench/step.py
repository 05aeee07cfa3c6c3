"""A step of training in several ways: CPU seconds, and the same loss and gradients by all of them.

    python bench/step.py [--base DIR] [--lengths N ...] [--rounds N]

One thread, float32, LoRA of rank 8 on all linear layers, random tokens of which the second half of
each sample is counted; forward and backward, without the optimizer. The ways take turns; the least
CPU time of each counts, for other work on the machine only ever adds to it. By rows: padded batches
of all samples, or of two; kernel: `cpu_kernels`; by tokens: `max_tokens_per_batch`.
"""

import argparse
import resource
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).resolve().parent.parent
IGNORED = -100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--base", type=Path, default=ROOT / "models" / "base")
    parser.add_argument(
        "--lengths", type=int, nargs="+", default=[30, 45, 60, 75, 90, 110, 130, 160]
    )
    parser.add_argument("--rounds", type=int, default=2)
    given = parser.parse_args()
    model, rows = adapted(given.base), samples(given.lengths)
    ways = ways_of(model, rows)
    spent: dict[str, list[float]] = {name: [] for name in ways}
    losses: dict[str, float] = {}
    first: dict[str, Any] = {}
    for _ in range(given.rounds):
        for name, (kernel, flat, batches) in ways.items():
            prepare(model, kernel, flat)
            begun = cpu_seconds()
            losses[name] = step(model, batches())
            spent[name].append(cpu_seconds() - begun)
            off = furthest(model, first)
            print(f"{name}: {spent[name][-1]:.2f} s, loss {losses[name]:.3f}", file=sys.stderr)
            if off > 1e-3:
                sys.exit(f"{name}: a gradient is {off:.1e} of its size off")
    table = Table("way", "CPU s", "real tokens a CPU s", "times", "loss")
    least = {name: min(each) for name, each in spent.items()}
    slowest = next(iter(least.values()))
    for name, seconds in least.items():
        rate = sum(given.lengths) / seconds
        times = f"{slowest / seconds:.2f}"
        table.add_row(name, f"{seconds:.2f}", f"{rate:.0f}", times, f"{losses[name]:.3f}")
    Console(width=None if sys.stdout.isatty() else 100).print(table)


def adapted(base: Path) -> Any:
    """The model with an adapter that does something."""
    import torch
    from peft import LoraConfig, get_peft_model

    from finery.models.load import load_model

    torch.set_num_threads(1)
    torch.manual_seed(0)
    settings = {"r": 8, "lora_alpha": 16, "target_modules": "all-linear"}
    model = get_peft_model(load_model(base, "float32").train(), LoraConfig(**settings))
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(std=0.02)
    return model


def samples(lengths: Iterable[int]) -> list[dict[str, list[int]]]:
    import torch

    generator, rows = torch.Generator().manual_seed(1), []
    for length in lengths:
        ids = torch.randint(5, 40000, (length,), generator=generator).tolist()
        labels = [IGNORED] * (length // 2) + ids[length // 2 :]
        rows.append({"input_ids": ids, "labels": labels})
    return rows


def ways_of(model: Any, rows: list[dict[str, list[int]]]) -> dict[str, tuple[bool, bool, Callable]]:
    """By name: whether with the kernel, whether samples follow each other, and the batches."""
    from finery.training.by_tokens import collate, split

    base, flat = model.get_base_model(), collate(rows)
    pairs = [rows[at : at + 2] for at in range(0, len(rows), 2)]
    return {
        f"{len(rows)} rows at once": (False, False, lambda: [padded(rows)]),
        f"{len(rows)} rows at once, kernel": (True, False, lambda: [padded(rows)]),
        "2 rows at once, kernel": (True, False, lambda: map(padded, pairs)),
        "1024 tokens at once, kernel": (True, True, lambda: split(base, flat, 1024)),
    }


def padded(rows: list[dict[str, list[int]]]) -> dict[str, Any]:
    import torch
    from torch.nn.utils.rnn import pad_sequence

    def even(name: str, fill: int) -> Any:
        return pad_sequence([torch.tensor(row[name]) for row in rows], True, fill)

    ids = [torch.ones(len(row["labels"]), dtype=torch.long) for row in rows]
    made = {"input_ids": even("input_ids", 0), "labels": even("labels", IGNORED)}
    return made | {"attention_mask": pad_sequence(ids, True, 0)}


def prepare(model: Any, kernel: bool, flat: bool) -> None:
    from finery.training.by_tokens import attend_by_sample
    from finery.training.lora_kernel import quicken

    model.zero_grad()
    for part in model.modules():
        if hasattr(part, "lora_A"):
            vars(part).pop("forward", None)
    if kernel:
        quicken(model)
    model.get_base_model().set_attn_implementation("sdpa")
    if flat:
        attend_by_sample(model.get_base_model())


def step(model: Any, batches: Iterable[dict[str, Any]]) -> float:
    """The loss of `CpuLossTrainer`, summed."""
    import torch

    total = 0.0
    for batch in batches:
        labels = batch.pop("labels")[:, 1:]
        counted = labels != IGNORED
        kept = counted.any(0).nonzero().flatten()
        logits = model(**batch, use_cache=False, logits_to_keep=kept).logits
        chosen = counted[:, kept]
        loss = torch.nn.functional.cross_entropy(
            logits[chosen].float(), labels[:, kept][chosen], reduction="sum"
        )
        loss.backward()
        total += loss.item()
    return total


def furthest(model: Any, first: dict[str, Any]) -> float:
    """How far a gradient is from that of the first way, as a share of the largest in its matrix."""
    found = {n: w.grad for n, w in model.named_parameters() if w.grad is not None}
    if not first:
        first.update({name: pull.clone() for name, pull in found.items()})
    return max(
        float((pull - first[name]).abs().max() / first[name].abs().max())
        for name, pull in found.items()
    )


def cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
