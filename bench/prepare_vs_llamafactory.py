"""Preparing data beside LLaMA-Factory 0.9.5: speed, memory, and whether the tokens are equal.

    python bench/prepare_vs_llamafactory.py [--environment DIR] [--demo DIR] [--rows N] ...

Installs LLaMA-Factory in an environment of its own (some minutes, 2 GB; kept in --environment if
that is given), generates rows of about 100 tokens, half of them Chinese, and has both prepare
them, in turns, with the same model, cut-off and number of worker processes.

What is counted, in samples a second:
- processing: LLaMA-Factory's two passes over the rows (converting, tokenizing) without its reading
  of the file; Finery's whole work on the rows, its reading and checking of the file included.
  A worker is a process; Finery's runs the tokenizer in threads beside Python's own.
- the whole process: from its start to its end. LLaMA-Factory's is the tokenizing alone, through
  its own functions: no model is loaded. Finery's is the stage as DVC starts it, with splits,
  duplicates, statistics, plot, and Parquet files.

With --demo, a folder of LLaMA-Factory's demo files, the tokens and labels of both are compared.
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
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.table import Table
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parent.parent
HERE = ROOT / "bench" / "prepare"
sys.path.insert(0, str(HERE))

import equality as both  # noqa: E402
from memory import peak, timed  # noqa: E402
from words import write  # noqa: E402

SYSTEM = "You are a helpful AI assistant named SmolLM, trained by Hugging Face"
CUTOFF_LEN = 512
LIBRARIES = ("transformers", "tokenizers", "fastokens", "pyarrow")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--environment", type=Path, help="where LLaMA-Factory is, or will be")
    parser.add_argument("--base", type=Path, default=ROOT / "models" / "base")
    parser.add_argument("--demo", type=Path, help="a folder of LLaMA-Factory's demo files")
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument(
        "--many-rows", type=int, default=1_000_000, help="to watch the memory; 0: no"
    )
    parser.add_argument("--workers", type=int, nargs="*", default=[1, 2])
    parser.add_argument("--runs", type=int, default=3)
    arguments = parser.parse_args()
    base = arguments.base.resolve()
    if not base.is_dir():
        sys.exit(f"{base}: missing; `dvc repro download` makes it")
    console = Console(width=None if sys.stdout.isatty() else 120)
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        environment = (arguments.environment or work / "environment").resolve()
        install(environment)
        python = environment / "bin" / "python"
        if arguments.workers:
            console.print(speed(work, python, base, arguments))
        if arguments.many_rows:
            console.print(memory(work, base, arguments))
        if arguments.demo:
            console.print(equality(work, python, base, arguments.demo))
    console.print(machine())


def install(environment: Path) -> None:
    """As its authors say, then without the CUDA builds that do not load beside a CPU's torch."""
    python = str(environment / "bin" / "python")
    if Path(python).exists():
        return
    print(f"installing LLaMA-Factory into {environment}", flush=True)
    subprocess.run([sys.executable, "-m", "venv", environment], check=True)
    constraints = environment / "constraints.txt"
    constraints.write_text("torch==2.13.0\n")
    pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    for arguments in (
        ["install", "torch==2.13.0"],
        ["install", "-c", str(constraints), "llamafactory==0.9.5"],
        ["uninstall", "-y", "torchvision", "torchaudio"],
        ["install", "--no-deps", "torchaudio==2.11.0"],
        ["install", "nltk", "jieba", "rouge-chinese"],
    ):
        subprocess.run([*pip, *arguments], check=True)
    for library in environment.glob("lib/python*/site-packages/torchaudio/lib/*.so"):
        library.unlink()


def speed(work: Path, python: Path, base: Path, arguments: argparse.Namespace) -> Table:
    project = make_project(work / "speed", base, arguments.rows)
    table = _table(
        f"{arguments.rows:,} samples: median of {arguments.runs} runs in turns",
        "workers, what", "LLaMA-Factory", "Finery", "times", "times, by CPU", "bound",
    )  # fmt: skip
    for workers in arguments.workers:
        runs = [
            (run_theirs(python, project, base, "big", workers), run_ours(project, workers))
            for _ in range(arguments.runs)
        ]
        for what, bound in (("processing", 10), ("whole process", 5)):
            pairs = [(theirs[what], mine[what]) for theirs, mine in runs]
            ratio = statistics.median(theirs / mine for theirs, mine in pairs)
            rates = [arguments.rows / statistics.median(side) for side in zip(*pairs, strict=True)]
            cpu = ""
            if what == "processing" and workers == 1:  # of more, LLaMA-Factory's are not all ours
                cpu = f"{statistics.median(t['cpu'] / m['cpu'] for t, m in runs):.1f}"
            table.add_row(
                f"{workers}, {what}", *(f"{rate:,.0f}/s" for rate in rates),
                f"{ratio:.1f}", cpu, f">= {bound}",
            )  # fmt: skip
    return table


def memory(work: Path, base: Path, arguments: argparse.Namespace) -> Table:
    table = _table("Peak memory of all processes", "rows", "MB", "times", "bound")
    first = 0.0
    for rows in (arguments.rows, arguments.many_rows):
        project = make_project(work / f"memory-{rows}", base, rows)
        most = peak(ours_command(), project, ours_environment(max(arguments.workers, default=1)))
        shutil.rmtree(project)
        first = first or most
        table.add_row(f"{rows:,}", f"{most:,.0f}", f"{most / first:.2f}", "<= 1.5")
    return table


def equality(work: Path, python: Path, base: Path, demo: Path) -> Table:
    folder = work / "demo"
    folder.mkdir()
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(base)
    table = _table("Tokens and labels of LLaMA-Factory's demo files", "file", "samples", "outcome")
    table.columns[2].justify = "left"
    for name in both.make_datasets(demo.resolve(), folder):
        dump = folder / f"{name}.dump"
        run_theirs(python, folder, base, name, 1, both.CUTOFF_LEN, dump)
        theirs = [tuple(json.loads(line)) for line in dump.read_text().splitlines()]
        found = both.compared(both.ours(base, folder, name), theirs, tokenizer.decode)  # type: ignore[arg-type]
        for outcome, count in found.most_common():
            table.add_row(name, f"{count:,}", outcome)
    return table


def make_project(folder: Path, base: Path, rows: int) -> Path:
    """A folder to run the stage in: rows to train on, two questions, and the settings."""
    folder.mkdir(parents=True)
    write(folder / "big.json", rows)
    write(folder / "asked.json", 2, seed=1)
    info = {name: {"file_name": f"{name}.json"} for name in ("big", "asked")}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (folder / "models").mkdir()
    (folder / "models" / "base").symlink_to(base)
    settings = YAML(typ="safe").load(ROOT / "params.yaml")
    settings["data"] |= {"test": ["asked"], "cutoff_len": CUTOFF_LEN}
    settings["train"]["sft"]["data"] = ["big"]
    settings["gate"]["rules"] = []
    settings["release"]["metrics"] = ["asked.rougeL"]
    YAML().dump(settings, folder / "params.yaml")
    return folder


def run_theirs(
    python: Path, folder: Path, base: Path, name: str, workers: int,
    cutoff_len: int = CUTOFF_LEN, dump: Path | None = None,
) -> dict[str, float]:  # fmt: skip
    settings = {
        "stage": "sft", "do_train": True, "model_name_or_path": str(base), "dataset": name,
        "dataset_dir": str(folder), "template": "smollm2", "default_system": SYSTEM,
        "cutoff_len": cutoff_len, "preprocessing_num_workers": workers, "overwrite_cache": True,
        "output_dir": str(folder / "out"), "use_cpu": True, "report_to": "none",
    }  # fmt: skip
    environment = {"HF_HUB_OFFLINE": "1", "HF_HOME": str(folder / "hf"), "PYTHONPATH": ""}
    shutil.rmtree(folder / "hf", ignore_errors=True)
    command = [str(python), str(HERE / "theirs.py"), json.dumps(settings)]
    line, seconds = timed([*command, *([str(dump)] if dump else [])], folder, environment)
    return {"whole process": seconds, "processing": json.loads(line)["seconds"]} | json.loads(line)


def run_ours(project: Path, workers: int) -> dict[str, float]:
    shutil.rmtree(project / ".finery", ignore_errors=True)
    line, seconds = timed(ours_command(), project, ours_environment(workers))
    return {"whole process": seconds, "processing": json.loads(line)["seconds"]} | json.loads(line)


def ours_command() -> list[str]:
    outputs = ("train", "calibration", "metrics", "rejected", "plot")
    paths = [word for name in outputs for word in (f"--{name}", f"made/{name}")]
    return [
        sys.executable,
        str(HERE / "ours.py"),
        "--step",
        "sft",
        "--datasets",
        ".",
        "--base",
        "models/base",
        *paths,
    ]


def ours_environment(workers: int) -> dict[str, str]:
    path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    return {"FINERY_WORKERS": str(workers), "PYTHONPATH": path}


def machine() -> str:
    versions = ", ".join(f"{name} {version(name)}" for name in LIBRARIES)
    cores = len(os.sched_getaffinity(0))
    python = platform.python_version()
    return f"{platform.machine()}, {cores} cores, Python {python}; {versions}; llamafactory 0.9.5"


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    table.add_column(columns[0])
    for column in columns[1:]:
        table.add_column(column, justify="right")
    return table


if __name__ == "__main__":
    main()
