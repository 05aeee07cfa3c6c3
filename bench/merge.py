"""What merging takes of time and memory: by rows from file to file, beside PEFT's in memory.

    python bench/merge.py [--blocks N] [--probes N] [--folder FOLDER] [ROW ...]

A random checkpoint with the shapes of Llama-3.1-8B in bfloat16, of fewer blocks (4: 3.85 GB; 32
are all: 16 GB), in four files, and a random LoRA of rank 16 on all of its linear layers. Each row
is a process of its own: the seconds are of the work itself and of writing all to the disk (fsync),
without the start of Python; the peak is that of the resident memory.
"""

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

SHAPE = {
    "vocab_size": 128256, "hidden_size": 4096, "intermediate_size": 14336,
    "num_attention_heads": 32, "num_key_value_heads": 8, "tie_word_embeddings": False,
}  # fmt: skip
FILES = 4
MB = 10**6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", nargs="*", help=f"of {', '.join(ROWS)}; all if none")
    parser.add_argument("--blocks", type=int, default=4, help="of the 32 that the model has")
    parser.add_argument("--probes", type=int, default=8, help="texts to check the sum on")
    parser.add_argument("--folder", type=Path, help="where there is room for three checkpoints")
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.alone:
        alone(arguments.alone, arguments.folder, arguments.probes)
        return
    table = Table("", "seconds", "times the copy", "CPU seconds", "peak MB")
    with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
        folder = Path(name)
        measured(folder, "made", arguments)
        size = sum(file.stat().st_size for file in (folder / "base").iterdir())
        table.title = f"{size / 1e9:.2f} GB, load {os.getloadavg()[0]:.1f} before"
        copied = None
        for row in dict.fromkeys(["copied", *(arguments.rows or ROWS)]):
            found = measured(folder, row, arguments)
            copied = copied or found["seconds"]
            times = f"{found['seconds'] / copied:.2f}"
            figures = (f"{found[key]:.{digits}f}" for key, digits in (("cpu", 1), ("peak", 0)))
            table.add_row(ROWS[row][0], f"{found['seconds']:.1f}", times, *figures)
    Console(width=None if sys.stdout.isatty() else 120).print(table)


def measured(folder: Path, row: str, arguments: argparse.Namespace) -> dict[str, float]:
    """What a row says of itself, run in a process of its own."""
    shutil.rmtree(folder / "out", ignore_errors=True)
    os.sync()
    options = [f"--alone={row}", f"--folder={folder}", f"--probes={arguments.probes}"]
    command = [sys.executable, __file__, *options]
    given = os.environ | {"BLOCKS": str(arguments.blocks)}
    done = subprocess.run(command, env=given, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def alone(row: str, folder: Path, probes: int) -> None:
    if row == "made":
        make(folder / "base", folder / "adapter")
        print("{}")
        return
    work = ROWS[row][1](folder, probes)
    begun, busy = time.perf_counter(), time.process_time()
    work()
    for file in (folder / "out").glob("*"):
        with file.open("rb") as written:
            os.fsync(written.fileno())
    seconds, cpu = time.perf_counter() - begun, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / MB
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak": peak}))


def make(base: Path, adapter: Path) -> None:
    """The checkpoint and the adapter, of random numbers."""
    import torch
    from accelerate import init_empty_weights
    from huggingface_hub import split_torch_state_dict_into_shards
    from peft import LoraConfig, get_peft_model
    from safetensors.torch import save_file
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    with init_empty_weights(include_buffers=False):
        config = LlamaConfig(**SHAPE, num_hidden_layers=int(os.environ["BLOCKS"]))
        model = LlamaForCausalLM(config).to(torch.bfloat16)
    model.save_pretrained(base, state_dict={})
    tensors = model.state_dict()
    size = sum(each.numel() * each.itemsize for each in tensors.values())
    split = split_torch_state_dict_into_shards(
        tensors, filename_pattern="model{suffix}.safetensors", max_shard_size=size // FILES + 2**28
    )
    for file, names in split.filename_to_tensors.items():
        made = {n: torch.empty(tensors[n].shape, dtype=torch.bfloat16) for n in names}
        for weight in made.values():
            weight.normal_(std=0.02)
        save_file(made, base / file, {"format": "pt"})
    index = {"metadata": split.metadata, "weight_map": split.tensor_to_filename}
    (base / "model.safetensors.index.json").write_text(json.dumps(index))

    lora = LoraConfig(r=16, target_modules="all-linear", task_type="CAUSAL_LM")
    adapted = get_peft_model(model, lora, low_cpu_mem_usage=True)
    weights = {
        name.replace(".default", ""): torch.empty(each.shape).normal_(std=0.02)
        for name, each in adapted.named_parameters()
        if "lora_" in name
    }
    adapter.mkdir()
    lora.base_model_name_or_path = str(base)
    lora.save_pretrained(adapter)
    save_file(weights, adapter / "adapter_model.safetensors", {"format": "pt"})


def copied(folder: Path, probes: int) -> Callable[[], object]:
    return lambda: shutil.copytree(folder / "base", folder / "out")


def by_rows(folder: Path, probes: int) -> Callable[[], object]:
    from finery.merging.streamed.merge import builder, merged_weights, write

    def work() -> None:
        build = builder(folder / "base", folder / "adapter")
        weights = merged_weights(folder / "base", folder / "adapter", build)
        write(weights, build, "bfloat16", folder / "out")

    quiet()
    return work


def checked(folder: Path, probes: int) -> Callable[[], object]:
    from finery.merging.streamed.merge import merge_by_rows

    texts = [[(7 * text + place) % 128000 for place in range(64)] for text in range(probes)]
    quiet()
    return lambda: merge_by_rows(
        folder / "base", folder / "adapter", "bfloat16", texts, folder / "out"
    )


def by_peft(dtype: str) -> Callable[[Path, int], Callable[[], object]]:
    def prepared(folder: Path, probes: int) -> Callable[[], object]:
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        def work() -> None:
            model = AutoModelForCausalLM.from_pretrained(
                folder / "base", dtype=getattr(torch, dtype)
            )
            merged = PeftModel.from_pretrained(model, folder / "adapter").merge_and_unload()
            merged.to(torch.bfloat16).save_pretrained(folder / "out")

        quiet()
        return work

    return prepared


def quiet() -> None:
    """And the libraries loaded, which is no part of the work."""
    import peft  # noqa: F401

    from finery.models.load import be_quiet

    be_quiet()


ROWS: dict[str, tuple[str, Callable[[Path, int], Callable[[], object]]]] = {
    "copied": ("the files copied", copied),
    "rows": ("merged by rows", by_rows),
    "checked": ("merged by rows and checked", checked),
    "peft-bf16": ("PEFT in memory, summed in bfloat16", by_peft("bfloat16")),
    "peft-fp32": ("PEFT in memory, summed in float32", by_peft("float32")),
}


if __name__ == "__main__":
    main()
