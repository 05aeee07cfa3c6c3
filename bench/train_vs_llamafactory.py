"""Supervised training of a LoRA adapter beside LLaMA-Factory 0.9.5: speed, start-up, memory, loss.

    python bench/train_vs_llamafactory.py [--environment DIR] [--base DIR] [--pairs N] [--core N]

Installs LLaMA-Factory in an environment of its own (some minutes, 2 GB; kept in --environment if
that is given). It trains in the type that the weights are in, so it gets them in float32: bf16,
which the default model comes in, a CPU without instructions for it only emulates, many times
slower. Both train the same tokens, samples of the project's own demo data, for one epoch in float32
on one core: LoRA of rank 8 on all linear layers, the same samples a step, learning rate
and schedule. LLaMA-Factory twice: as its own examples have it (a sample at once, 8 summed, with
gradient checkpointing, which is its default), and at its fastest (8 at once, grouped by length, no
checkpointing). They take turns.

Tokens are real ones, without padding; seconds are those of the steps, by the clock and of the CPU,
which bear other work on the machine. The validation loss is computed here, from both adapters in
the same way. The share of the machine is that of the rate at which torch multiplies matrices of the
model's shapes forward, and backward for the input, in the same process's place: 4 x the weights of
the linear layers x real tokens, adapters and head not counted.
"""

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

from prepare_vs_llamafactory import install
from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "bench" / "training"
RATE, ROWS = 2e-4, 8
OURS, FASTEST, DEFAULT = "Finery", "LLaMA-Factory, fastest", "LLaMA-Factory, as in its examples"
LIBRARIES = ("torch", "transformers", "peft", "trl")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--environment", type=Path, help="where LLaMA-Factory is, or will be")
    parser.add_argument("--base", type=Path, default=ROOT / "models" / "base")
    parser.add_argument("--samples", type=int, default=48)
    parser.add_argument("--longest", action="store_true", help="the longest samples, not any")
    parser.add_argument("--pairs", type=int, default=3)
    parser.add_argument("--core", type=int, default=0, help="of the CPU, that all run on")
    given = parser.parse_args()
    base = given.base.resolve()
    if not base.is_dir():
        sys.exit(f"{base}: missing; `dvc repro download` makes it")
    console = Console(width=None if sys.stdout.isatty() else 120)
    os.sched_setaffinity(0, {given.core})
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        environment = (given.environment or work / "environment").resolve()
        install(environment)
        full = in_float32(base, work / "float32")
        training, validation = samples(work, base, given.samples, given.longest)
        sides = {
            OURS: lambda out: ours(work, base, training, out),
            FASTEST: lambda out: theirs(work, environment, full, training, out, FAST),
            DEFAULT: lambda out: theirs(work, environment, full, training, out, PLAIN),
        }
        found: dict[str, list[dict[str, float]]] = {name: [] for name in sides}
        for pair in range(given.pairs):
            names = list(sides) if pair % 2 == 0 else list(sides)[::-1]
            for name in names:
                out = work / f"{len(found[name])} {name}".replace(" ", "-")
                found[name].append(sides[name](out) | {"loss": loss(base, out, validation)})
                print(f"{name}: {json.dumps(found[name][-1])}", flush=True)
        tokens = sum(len(row["input_ids"]) for row in training)
        console.print(report(found, tokens, *multiplication(base)))
    console.print(f"{len(training)} samples of {tokens} tokens; {machine()}")


def in_float32(base: Path, folder: Path) -> Path:
    """A copy of the model with its weights in that type."""
    from transformers import AutoTokenizer

    from finery.models.load import load_model

    load_model(base, "float32").save_pretrained(folder)
    AutoTokenizer.from_pretrained(base).save_pretrained(folder)
    return folder


def samples(work: Path, base: Path, count: int, longest: bool) -> tuple[list[dict], list[dict]]:
    """Some of the demo data's, all over it or the longest, and a third as many to validate on."""
    import pyarrow.parquet as pq

    project = work / "project"
    project.mkdir()
    (project / "models").mkdir()
    (project / "models" / "base").symlink_to(base)
    settings = YAML(typ="safe").load(ROOT / "params.yaml")
    settings["train"] = {"sft": settings["train"]["sft"] | STEP}
    YAML().dump(settings, project / "params.yaml")
    outs = {name: f"made/{name}" for name in ("calibration", "metrics", "rejected", "plot")}
    outs |= {
        "train": "data",
        "base": "models/base",
        "datasets": str(ROOT / settings["data"].get("dataset_dir", "data/raw")),
    }
    run([sys.executable, "-m", "stages.prepare", "--step=sft",
         *(f"--{name}={path}" for name, path in outs.items())], project)  # fmt: skip
    names = ["dataset", "input_ids", "labels"]
    rows = pq.read_table(project / "data/train.parquet", columns=names).to_pylist()
    if longest:
        rows.sort(key=lambda row: -len(row["input_ids"]))
        rows = rows[: count + count // 3]
    wanted = count + count // 3
    rows = [rows[number * len(rows) // wanted] for number in range(wanted)]
    held = rows[::4][: count // 3]
    kept = [row for row in rows if row not in held][:count]

    from finery.data.prepared import write_parquet

    write_parquet(project / "data/train.parquet", "samples", kept)
    write_parquet(project / "data/validation.parquet", "samples", [])
    return kept, held


STEP = {
    "tuner": {"type": "lora", "rank": 8, "alpha": 16, "dropout": 0.0},
    "learning_rate": RATE, "num_train_epochs": 1, "per_device_batch_size": ROWS,
    "gradient_accumulation_steps": 1, "precision": "fp32", "logging_steps": 100,
    "warmup_ratio": 0.0, "save_steps": 1000, "eval_steps": 1000, "max_tokens_per_batch": "auto",
    "cpu_kernels": True,
}  # fmt: skip
PLAIN = {"per_device_train_batch_size": 1, "gradient_accumulation_steps": ROWS}
FAST = {
    "per_device_train_batch_size": ROWS, "gradient_accumulation_steps": 1,
    "train_sampling_strategy": "group_by_length", "disable_gradient_checkpointing": True,
}  # fmt: skip


def ours(work: Path, base: Path, training: list[dict], out: Path) -> dict[str, float]:
    project = work / "project"
    shutil.rmtree(project / ".finery", ignore_errors=True)
    outs = {"adapter": out, **{name: f"made/{name}" for name in ("loss", "plot", "metrics")}}
    command = [sys.executable, str(HERE / "ours.py"), "--step=sft", "--start=models/base",
               "--data=data", *(f"--{name}={path}" for name, path in outs.items())]  # fmt: skip
    return run(command, project)


def theirs(
    work: Path, environment: Path, base: Path, training: list[dict], out: Path, batches: dict
) -> dict[str, float]:
    file, tokens = work / "samples.json", work / "tokens"
    kept = [{name: row[name] for name in ("input_ids", "labels")} for row in training]
    file.write_text(json.dumps(kept))
    shutil.rmtree(tokens, ignore_errors=True)
    settings = batches | {
        "stage": "sft", "do_train": True, "model_name_or_path": str(base), "dataset": "none",
        "template": "smollm2", "finetuning_type": "lora", "lora_rank": 8, "lora_alpha": 16,
        "lora_target": "all", "tokenized_path": str(tokens), "output_dir": str(out),
        "learning_rate": RATE, "num_train_epochs": 1.0, "lr_scheduler_type": "cosine",
        "warmup_ratio": 0.0, "logging_steps": 100, "save_steps": 1000, "use_cpu": True,
        "report_to": "none", "seed": 42, "cutoff_len": 512,
    }  # fmt: skip
    command = [str(environment / "bin/python"), str(HERE / "theirs.py"), json.dumps(settings)]
    return run([*command, str(file)], work, {"PYTHONPATH": str(HERE)})


def run(command: list[str], folder: Path, more: dict[str, str] | None = None) -> dict[str, float]:
    """What `Watch` says of a command, if it watches; raises with the end of what it printed."""
    watched = folder / "watched.json"
    watched.unlink(missing_ok=True)
    given = {"OMP_NUM_THREADS": "1", "WATCHED": str(watched), "HF_HUB_OFFLINE": "1"}
    given |= {"PYTHONPATH": os.pathsep.join((str(ROOT), str(HERE)))} | (more or {})
    done = subprocess.run(
        command, cwd=folder, env=os.environ | given, capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)[:200]}:\n{(done.stdout + done.stderr)[-3000:]}")
    return json.loads(watched.read_text()) if watched.exists() else {}


def loss(base: Path, adapter: Path, validation: list[dict]) -> float:
    """The mean over all counted tokens, each sample by itself."""
    import torch
    from peft import PeftModel

    from finery.models.load import load_model

    torch.set_num_threads(1)
    model = PeftModel.from_pretrained(load_model(base, "float32"), adapter).eval()
    total, counted = 0.0, 0
    for row in validation:
        labels = torch.tensor([row["labels"]])
        with torch.no_grad():
            made = model(input_ids=torch.tensor([row["input_ids"]]), labels=labels)
        count = int((labels[:, 1:] != -100).sum())
        total, counted = total + made.loss.item() * count, counted + count
    return total / counted


def multiplication(base: Path) -> tuple[int, float]:
    """The weights of the linear layers, and GFLOP a CPU second that torch reaches on their shapes:
    the better of three rounds, of as many rows as a part has tokens.
    """
    import torch

    from finery.models.load import load_model
    from finery.params.by_tokens import ON_A_CPU

    torch.set_num_threads(1)
    model = load_model(base, "float32")
    layers = [m.weight for m in model.model.layers.modules() if type(m) is torch.nn.Linear]
    weights, rates = sum(w.numel() for w in layers), []
    inputs = {n: torch.randn(ON_A_CPU // 2, n) for w in layers for n in w.shape}
    with torch.no_grad():
        for _ in range(3):
            begun = time.process_time()
            for weight in layers:
                inputs[weight.shape[1]] @ weight.T
                inputs[weight.shape[0]] @ weight
            rates.append(4 * weights * ON_A_CPU / 2 / (time.process_time() - begun) / 1e9)
    return weights, max(rates)


def report(
    found: dict[str, list[dict[str, float]]], tokens: int, weights: int, rate: float
) -> Table:
    table = Table(title=f"Median of {len(found[OURS])} runs in turns; {rate:.0f} GFLOP/s reached")
    table.add_column("figure")
    for name in found:
        table.add_column(name, justify="right")

    def row(figure: str, form: str, value: Any) -> None:
        each = {name: [value(run) for run in runs] for name, runs in found.items()}
        table.add_row(figure, *(format(statistics.median(of), form) for of in each.values()))

    def ratio(figure: str, value: Any) -> None:
        pairs = {name: [value(o, t) for o, t in zip(found[OURS], runs, strict=True)]
                 for name, runs in found.items() if name != OURS}  # fmt: skip
        table.add_row(figure, "", *(f"{statistics.median(of):.2f}" for of in pairs.values()))

    row("real tokens a CPU second", ".1f", lambda run: tokens / run["cpu"])
    row("real tokens a second", ".1f", lambda run: tokens / run["seconds"])
    ratio("Finery's times as many, by CPU seconds", lambda o, t: t["cpu"] / o["cpu"])
    row("share of the matrix-multiply rate", ".0%",
        lambda run: 4 * weights * tokens / run["cpu"] / 1e9 / rate)  # fmt: skip
    row("CPU seconds to the first step", ".1f", lambda run: run["to_first_cpu"])
    row("seconds to the first step", ".1f", lambda run: run["to_first"])
    ratio("Finery's share of them, by CPU seconds",
          lambda o, t: o["to_first_cpu"] / t["to_first_cpu"])  # fmt: skip
    row("peak memory, MB", ".0f", lambda run: run["peak_mb"])
    row("validation loss", ".4f", lambda run: run["loss"])
    return table


def machine() -> str:
    models = [line.partition(": ")[2] for line in Path("/proc/cpuinfo").read_text().splitlines()
              if line.startswith("model name")]  # fmt: skip
    libraries = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    python = platform.python_version()
    return f"one core of {(models or [platform.machine()])[0]}; Python {python}, {libraries}"


if __name__ == "__main__":
    main()
