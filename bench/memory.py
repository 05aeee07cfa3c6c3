"""What a step of the training takes of memory: the estimate before it, beside the measured peak.

    python bench/memory.py [--roomy] [NAME ...]

Each row is a train stage in a process of its own, on a CPU, of a random model and random samples in
a temporary folder: two steps, so that the optimizer has its state. The first row is of a model so
small that what is measured is Python and the libraries alone; it is in the other rows' estimates
as a constant, and the share is of what is above it. The peak is that of the resident memory, with
the allocator as a stage has it where memory is tight, or, with --roomy, where there is plenty.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

from finery.check.facts import read_model
from finery.check.memory.batches import prepared_batch
from finery.check.memory.shape import shape
from finery.check.memory.step import RUNTIME, step_memory
from finery.params.schema import load
from finery.stage.allocator import INITIAL

ROOT = Path(__file__).resolve().parent.parent
MB = 10**6
SMOLLM2 = {
    "vocab_size": 49152, "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30,
    "num_attention_heads": 9, "num_key_value_heads": 3, "head_dim": 64,
    "tie_word_embeddings": True,
}  # fmt: skip
WIDE = {
    "vocab_size": 32000, "hidden_size": 512, "intermediate_size": 1376, "num_hidden_layers": 8,
    "num_attention_heads": 8, "num_key_value_heads": 8, "tie_word_embeddings": False,
}  # fmt: skip
TINY = {
    "vocab_size": 400, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1,
}  # fmt: skip
LORA, FULL = {"type": "lora", "rank": 8}, {"type": "full"}
STEP = ("--step=step", "--start=model", "--data=data")
LIBRARIES = "Python and the libraries"
CASES: dict[str, tuple[dict, int, dict]] = {
    LIBRARIES: (TINY, 16, {"tuner": LORA, "per_device_batch_size": 2}),
    "135M, lora 8, 2 x 128": (SMOLLM2, 128, {"tuner": LORA, "per_device_batch_size": 2}),
    "135M, lora 8 on nf4, 2 x 128": (
        SMOLLM2, 128,
        {"tuner": LORA, "per_device_batch_size": 2, "quantization": {"method": "bnb"}},
    ),
    "135M, full, 2 x 128": (SMOLLM2, 128, {"tuner": FULL, "per_device_batch_size": 2}),
    "58M, lora 8, 8 x 128": (WIDE, 128, {"tuner": LORA, "per_device_batch_size": 8}),
    "58M, lora 64, 8 x 256": (
        WIDE, 256, {"tuner": LORA | {"rank": 64}, "per_device_batch_size": 8}
    ),
    "58M, lora 8, 8 x 256, checkpointing": (
        WIDE, 256, {"tuner": LORA, "per_device_batch_size": 8, "gradient_checkpointing": True}
    ),
    "58M, full, 4 x 256": (WIDE, 256, {"tuner": FULL, "per_device_batch_size": 4}),
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="rows, by a part of their names; all if none")
    parser.add_argument("--roomy", action="store_true", help="memory is not given back at once")
    parser.add_argument("--model", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.model:
        make_model(Path("model"), json.loads(arguments.model))
        return
    table = Table(*("step", "estimate MB", "measured MB", "off", "off, above the libraries"))
    console = Console(width=None if sys.stdout.isatty() else 120)
    if not arguments.roomy:
        os.environ["MALLOC_MMAP_THRESHOLD_"] = str(INITIAL)
    rows = [name for name in CASES if any(part in name for part in arguments.names or [""])]
    worst = 0.0
    for name in rows:
        with tempfile.TemporaryDirectory() as folder:
            estimate, measured = measure(Path(folder), *CASES[name])
        off = estimate / measured - 1
        above = (estimate - RUNTIME["cpu"]) / max(measured - RUNTIME["cpu"], 1) - 1
        worst = max(worst, abs(off))
        said = "" if name == LIBRARIES else f"{above:+.0%}"
        table.add_row(name, f"{estimate / MB:.0f}", f"{measured / MB:.0f}", f"{off:+.0%}", said)
        print(f"{name}: {measured / MB:.0f} MB", file=sys.stderr)
    console.print(table)
    sys.exit(worst > 0.15)


def measure(folder: Path, model: dict, length: int, settings: dict) -> tuple[float, float]:
    """The estimate and the peak of a train stage, in bytes."""
    subprocess.run(
        [sys.executable, __file__, f"--model={json.dumps(model)}"],
        cwd=folder, check=True, capture_output=True,
    )  # fmt: skip
    rows = settings["per_device_batch_size"]
    write_samples(folder / "data", 2 * rows, length, model["vocab_size"])
    write_params(folder / "params.yaml", settings)
    outs = [f"--{name}={folder / name}" for name in ("adapter", "loss", "plot", "metrics")]
    done = subprocess.run(
        [sys.executable, "-m", "stages.train", *STEP, *outs],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        sys.exit(done.stderr)
    record = json.loads((folder / ".finery/timings.jsonl").read_text().splitlines()[-1])
    params = load(folder / "params.yaml").train["step"]
    form, batch = shape(read_model(folder / "model")), prepared_batch(params, folder / "data", 512)
    estimate = step_memory(form, params, batch, half=False, gpu=False).total
    return estimate, record["peak_mb"] * 2**20


def make_model(folder: Path, config: dict[str, Any]) -> None:
    """A Llama of random weights in half precision, with a tokenizer that nothing is read by."""
    import torch
    from tokenizers import Tokenizer, models
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    ends = LlamaConfig(**config, eos_token_id=0, pad_token_id=0, bos_token_id=None)
    LlamaForCausalLM(ends).to(torch.bfloat16).save_pretrained(folder)
    core = Tokenizer(models.WordLevel({"<end>": 0, "<unknown>": 1}, unk_token="<unknown>"))
    PreTrainedTokenizerFast(
        tokenizer_object=core, eos_token="<end>", pad_token="<end>"
    ).save_pretrained(folder)


def write_samples(data: Path, rows: int, length: int, vocabulary: int) -> None:
    """Of slightly different lengths, so that batches are padded; the second half is counted."""
    from finery.data.prepared import write_parquet

    chosen = random.Random(0)
    samples = []
    for row in range(rows):
        ids = [chosen.randrange(2, vocabulary) for _ in range(length - row % 8)]
        labels = [-100] * (len(ids) // 2) + ids[len(ids) // 2 :]
        samples.append({"dataset": "d", "input_ids": ids, "labels": labels})
    write_parquet(data / "train.parquet", "samples", samples)
    write_parquet(data / "validation.parquet", "samples", [])


def write_params(file: Path, settings: dict[str, Any]) -> None:
    yaml = YAML()
    params = yaml.load((ROOT / "params.yaml").read_text(encoding="utf-8"))
    params["train"] = {
        "step": {
            "after": "base", "method": "sft", "data": ["identity"], "learning_rate": 1e-5,
            "num_train_epochs": 1, "gradient_accumulation_steps": 1, "warmup_ratio": 0.0,
            "precision": "fp32",
        } | settings
    }  # fmt: skip
    params["merge"]["step"] = "step"
    with file.open("w", encoding="utf-8") as stream:
        yaml.dump(params, stream)


if __name__ == "__main__":
    main()
