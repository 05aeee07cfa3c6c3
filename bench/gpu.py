"""A GPU beside the CPU: the same losses, the same resumed bytes; and how fast large shapes train.

    python bench/gpu.py [--device cpu --tiny]

It takes torch with CUDA and the wheels of bench/gpu-wheels.txt (`make gpu-wheels`), and nothing
from the network. First the pipeline of a tiny random model, each stage in a process of its own:
train on both devices, resume, merge, quantize, evaluate, packing; each line ends in ok or WRONG.
Then random models of the shapes of a 0.5B and a 7B one, LoRA in bf16 and on 4 bits, beside plain
TRL and PEFT: real tokens a second, the share of the matrix-multiply rate that torch reaches here,
peak memory. --tiny has tiny ones in their place, which proves the script where there is no GPU.
"""

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from memory import LORA, STEP, TINY, make_model, write_params, write_samples

ROOT = Path(__file__).resolve().parent.parent
QWEN_05B = {
    "vocab_size": 151936, "hidden_size": 896, "intermediate_size": 4864, "num_hidden_layers": 24,
    "num_attention_heads": 14, "num_key_value_heads": 2, "tie_word_embeddings": True,
}  # fmt: skip
LLAMA_7B = {
    "vocab_size": 32000, "hidden_size": 4096, "intermediate_size": 11008, "num_hidden_layers": 32,
    "num_attention_heads": 32, "num_key_value_heads": 32, "tie_word_embeddings": False,
}  # fmt: skip
SHAPES = {"0.5B": (QWEN_05B, 512, 16), "7B": (LLAMA_7B, 512, 4)}
"""The model, the length of its samples, and how many a step has."""
SMALL = {"tiny": (TINY, 64, 4)}
STEPS, WARM = 12, 4
"""Steps of a measured training, of which the first are left out."""
FAR = 2e-3
"""How far a loss on one device may be from that on the other, in float32."""
OTHERS = ("unsloth", "llamafactory")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small shapes, to try the script")
    parser.add_argument("--case", help=argparse.SUPPRESS)
    parser.add_argument("--loss", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.loss:
        print(mean_loss(arguments.loss))
        return
    if arguments.case:
        print(json.dumps(measured(**json.loads(arguments.case))))
        return
    begun = time.monotonic()
    print(machine(arguments.device), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        wrong = pipeline(Path(folder), arguments.device)
    for name, shape in (SMALL if arguments.tiny else SHAPES).items():
        with tempfile.TemporaryDirectory() as folder:
            speeds(name, shape, Path(folder), arguments.device)
    found = [name for name in OTHERS if find_spec(name)]
    print(f"beside it: {', '.join(found) or 'neither ' + ' nor '.join(OTHERS)} installed")
    print(f"{time.monotonic() - begun:.0f} s in all")
    sys.exit(wrong)


def machine(device: str) -> str:
    import torch
    import transformers
    import trl

    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("bench/gpu.py: torch sees no GPU here; --device cpu --tiny tries the script")
    name = torch.cuda.get_device_name() if device == "cuda" else "CPU"
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    return f"{name}; {versions}, trl {trl.__version__}"


def pipeline(folder: Path, device: str) -> int:
    """How many checks were missed. The files of a run are in `folder`/DEVICE."""
    model = folder / "model"
    make_model(model, TINY)
    for name, rows in (("data", 24), ("calibration", 8)):
        write_samples(folder / name, rows, 48, TINY["vocab_size"])
    shutil.copy(folder / "calibration/train.parquet", folder / "calibration/calibration.parquet")
    settings = {"tuner": LORA, "per_device_batch_size": 4, "num_train_epochs": 2, "save_steps": 4}
    write_params(folder / "params.yaml", settings | {"learning_rate": 1e-3, "logging_steps": 1})
    missed = 0

    def check(what: str, right: bool, said: str) -> None:
        nonlocal missed
        missed += not right
        print(f"{what}: {said}: {'ok' if right else 'WRONG'}", flush=True)

    for place in dict.fromkeys(("cpu", device)):
        stage("train", folder, place, "data", "adapter", "loss", "plot", "metrics")
    first, other = (losses(folder / place / "loss") for place in ("cpu", device))
    off = max(abs(a - b) for a, b in zip(first, other, strict=True))
    check("train", off < FAR, f"{len(other)} losses, {off:.1e} at most from the CPU's")
    check("learns", other[-1] < other[0], f"loss {other[0]:.4f} to {other[-1]:.4f}")
    same = resumed(folder, device)
    check("resume", same, "killed at a checkpoint, and gone on with, to the same bytes")
    off = packing(folder, device)
    check("packing", off < FAR, f"each sample's loss {off:.1e} at most from that by itself")
    stage("merge", folder, device, "merged", "metrics")
    merge = json.loads((folder / device / "metrics").read_text())
    check("merge", merge["exact"]["relative_difference"] < FAR, json.dumps(merge))
    losses_of = {"merged": loss_of(folder / device / "merged", folder, device)}
    if find_spec("gptqmodel"):
        for form in ("gptq", "awq"):
            stage("quantize", folder, device, "quantized", form=form)
            losses_of[form] = loss_of(folder / device / "quantized", folder, device)
    cpu = loss_of(folder / device / "merged", folder, "cpu")
    off = abs(losses_of["merged"] - cpu)
    check("evaluate", off < 10 * FAR, f"loss of the merged model {off:.1e} from the CPU's")
    for form in ("gptq", "awq"):
        if form in losses_of:
            off = losses_of[form] - losses_of["merged"]
            check(form, abs(off) < 0.1, f"loss {off:+.4f} beside the merged model's")
    return missed


def environment(device: str) -> dict[str, str]:
    hidden = {"CUDA_VISIBLE_DEVICES": ""} if device == "cpu" else {}
    return os.environ | {"PYTHONPATH": str(ROOT)} | hidden


def stage(name: str, folder: Path, device: str, *outs: str, form: str = "gptq") -> None:
    """Run a stage by its command line; its outputs go to `folder`/DEVICE."""
    made = folder / device
    made.mkdir(exist_ok=True)
    given = {
        "train": STEP,
        "merge": (
            "--step=step",
            "--start=model",
            f"--adapter={made}/adapter",
            "--data=calibration",
        ),
        "quantize": (f"--format={form}", f"--model={made}/merged", "--data=calibration"),
    }[name]
    if name == "merge":
        outs = ("merged", "metrics")
    places = [f"--{out}={made / out}" for out in outs if out != "data"]
    run([sys.executable, "-m", f"stages.{name}", *given, *places], folder, device)


def run(command: list[str], folder: Path, device: str) -> str:
    done = subprocess.run(
        command, cwd=folder, env=environment(device), capture_output=True, text=True
    )
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.stdout


def losses(file: Path) -> list[float]:
    with file.open() as rows:
        return [float(row["loss"]) for row in csv.DictReader(rows) if row["loss"]]


def resumed(folder: Path, device: str) -> bool:
    """Whether a training that goes on from its middle leaves the bytes of one that was not cut."""
    script = (
        "import json, sys; from pathlib import Path; from finery.params.schema import load;"
        "from stages.train import train; out = Path(sys.argv[1]); out.mkdir(exist_ok=True);"
        "train(load(Path('params.yaml')).train['step'], 'step', Path('model'), Path('data'),"
        " adapter=out / 'a', loss=out / 'l', plot=out / 'p', metrics=out / 'm',"
        " checkpoints=Path(sys.argv[2]))"
    )
    kept = folder / "kept"
    run([sys.executable, "-c", script, "whole", str(kept)], folder, device)
    *_, last = sorted(kept.glob("checkpoint-*"), key=lambda path: int(path.name[11:]))
    shutil.rmtree(last)
    run([sys.executable, "-c", script, "again", str(kept)], folder, device)
    files = [file for file in (folder / "whole").rglob("*") if file.is_file()]
    return all(
        (folder / "again" / file.relative_to(folder / "whole")).read_bytes() == file.read_bytes()
        for file in files
    )


def packing(folder: Path, device: str) -> float:
    """How far the losses of samples are that share a row from those of samples by themselves."""
    import torch

    from finery.data.prepared import read_parquet
    from finery.models.load import load_model
    from finery.training.packing import collate

    model = load_model(folder / "model", "float32").to(device)
    samples = read_parquet(folder / "data/train.parquet")[:4]
    row = {key: [t for s in samples for t in s[key]] for key in ("input_ids", "labels")}
    row["seq_lengths"] = [len(s["input_ids"]) for s in samples]
    packed = each_loss(model, collate([row]), row["seq_lengths"])
    alone = [
        each_loss(model, collate([s | {"seq_lengths": [n]}]), [n])[0]
        for s, n in zip(samples, row["seq_lengths"], strict=True)
    ]
    return float((torch.stack(packed) - torch.stack(alone)).abs().max())


def each_loss(model: Any, batch: dict[str, Any], lengths: list[int]) -> list[Any]:
    import torch

    given = {k: batch[k].to(model.device) for k in ("input_ids", "position_ids")}
    with torch.no_grad():
        logits = model(**given, use_cache=False).logits[0, :-1].float().cpu()
    each = torch.nn.functional.cross_entropy(logits, batch["labels"][0, 1:], reduction="none")
    parts = torch.cat([each, each.new_zeros(1)]).split(lengths)
    return [part.sum() for part in parts]


def loss_of(model: Path, folder: Path, device: str) -> float:
    """Of a model as the evaluation loads it, over the samples, in a process of its own."""
    said = run([sys.executable, __file__, f"--loss={model}"], folder, device)
    return float(said.strip().splitlines()[-1])


def mean_loss(model: Path) -> float:
    import torch

    from finery.data.prepared import read_parquet
    from finery.inference.loading import load_for_inference
    from finery.models.load import be_quiet

    be_quiet()
    loaded, each = load_for_inference(model), []
    for sample in read_parquet(Path("data/train.parquet")):
        both = (sample["input_ids"], sample["labels"])
        ids, labels = (torch.tensor([tokens], device=loaded.device) for tokens in both)
        with torch.no_grad():
            logits = loaded(input_ids=ids).logits[0, :-1].float()
        each.append(torch.nn.functional.cross_entropy(logits, labels[0, 1:]).item())
    return sum(each) / len(each)


def speeds(name: str, shape: tuple[dict, int, int], folder: Path, device: str) -> None:
    config, length, rows = shape
    make_model(folder / "model", config)
    write_samples(folder / "data", rows * STEPS, length, config["vocab_size"])
    for quantized in (False, True) if find_spec("bitsandbytes") else (False,):
        for trainer in ("finery", "TRL + PEFT"):
            case = {"trainer": trainer, "folder": str(folder), "rows": rows, "bits": quantized}
            command = [sys.executable, __file__, f"--case={json.dumps(case | {'device': device})}"]
            found = json.loads(run(command, folder, device).strip().splitlines()[-1])
            kind = "4-bit LoRA" if quantized else "LoRA"
            print(
                f"{name}, {kind}, {trainer}: {found['tokens']:.0f} tokens/s,"
                f" {found['share']:.0%} of {found['peak'] / 1e12:.2f} TFLOPS,"
                f" {found['memory'] / 1e9:.1f} GB",
                flush=True,
            )


def measured(trainer: str, folder: str, rows: int, bits: bool, device: str) -> dict[str, float]:
    """One training: tokens a second, FLOPs beside the peak, and the most memory it had."""
    import torch
    from transformers import TrainerCallback

    from finery.models.load import be_quiet

    be_quiet()
    made = (ours if trainer == "finery" else plain)(Path(folder), rows, bits, device)
    begun = [0.0]

    class Clock(TrainerCallback):
        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.global_step in (WARM, STEPS):
                if device == "cuda":
                    torch.cuda.synchronize()
                begun.append(time.monotonic())

    made.add_callback(Clock())
    weights = linear_weights(made.model)
    made.train()
    tokens = sum(len(row) for row in made.train_dataset["input_ids"]) * (STEPS - WARM) / STEPS
    rate, peak = tokens / (begun[2] - begun[1]), matmul_rate(device)
    memory = torch.cuda.max_memory_allocated() if device == "cuda" else peak_rss()
    # forward, and what goes on to the layer below: no gradient of a frozen weight
    return {"tokens": rate, "share": 4 * weights * rate / peak, "peak": peak, "memory": memory}


def linear_weights(model: Any) -> int:
    """Weights that every token is multiplied with, those of the head included."""
    config = model.config
    blocks = config.num_hidden_layers * layer_weights(config)
    return blocks + config.vocab_size * config.hidden_size


def layer_weights(config: Any) -> int:
    kept = config.num_key_value_heads / config.num_attention_heads
    attention = config.hidden_size**2 * (2 + 2 * kept)
    return int(attention) + 3 * config.hidden_size * config.intermediate_size


def ours(folder: Path, rows: int, bits: bool, device: str) -> Any:
    from finery.params.schema import load
    from finery.training.start import built

    settings = {"tuner": LORA, "per_device_batch_size": rows, "save_steps": 1000}
    if device == "cuda":
        settings["precision"] = "bf16"
    if bits:
        settings["quantization"] = {"method": "bnb"}
    write_params(folder / "params.yaml", settings)
    params = load(folder / "params.yaml").train["step"]
    return built(params, folder / "model", folder / "data", folder / "kept")


def plain(folder: Path, rows: int, bits: bool, device: str) -> Any:
    """TRL's SFTTrainer with PEFT's adapter, by their documentation and nothing else."""
    import torch
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
    from trl import SFTConfig, SFTTrainer

    from finery.training.prepared import read_samples

    half = device == "cuda"
    dtype = torch.bfloat16 if half else torch.float32
    few = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype
    )
    model = AutoModelForCausalLM.from_pretrained(
        folder / "model", dtype=dtype, quantization_config=few if bits else None
    )
    return SFTTrainer(
        model=model,
        args=SFTConfig(
            output_dir=str(folder / "plain"), per_device_train_batch_size=rows, max_steps=STEPS,
            learning_rate=1e-5, bf16=half, use_cpu=not half, gradient_checkpointing=False,
            max_length=None, dataset_kwargs={"skip_prepare_dataset": True}, report_to="none",
        ),
        train_dataset=read_samples(folder / "data/train.parquet"),
        processing_class=AutoTokenizer.from_pretrained(folder / "model"),
        peft_config=LoraConfig(
            r=LORA["rank"], lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM"
        ),
    )  # fmt: skip


def matmul_rate(device: str) -> float:
    """Floating-point operations a second of a large product, as torch has it here."""
    import torch

    size, dtype = (8192, torch.bfloat16) if device == "cuda" else (1024, torch.float32)
    a, b = (torch.randn(size, size, device=device, dtype=dtype) for _ in range(2))
    wait = torch.cuda.synchronize if device == "cuda" else lambda: None
    for times in (3, 20):
        wait()
        begun = time.monotonic()
        for _ in range(times):
            a @ b
        wait()
        seconds = time.monotonic() - begun
    return 2 * size**3 * times / seconds


def peak_rss() -> float:
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


if __name__ == "__main__":
    main()
