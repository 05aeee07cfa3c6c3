"""Tokens a CPU second and the first token's delay: `finery serve` by engine, and others' servers.

    python bench/serve.py models/packages/merged [--only NAME]... [--tokens 48] [--rounds 2]

Each server is started on one thread and asked, greedily, by one client at a time and by eight at
once; the CPU time is that of the server with all its processes. Tokens are counted as the server
reports them. Run it on an idle machine.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
from rich.console import Console
from rich.table import Table

FINERY = (sys.executable, "-m", "finery.cli", "serve")
THREAD = ("--threads", "1", "--streams", "8")
QUESTIONS = [
    f"{ask} {about}."
    for ask in ("Write two sentences about", "Explain to a child", "List three facts about")
    for about in ("boats", "the moon", "bread", "rivers", "music", "winter", "trees", "clocks")
]


def servers(model: Path, port: int) -> dict[str, list[str]]:
    """The command that starts each."""
    ours = [*FINERY, str(model), "--port", str(port)]
    return {
        "finery, llamacpp f32": [*ours, "--engine", "llamacpp", "--weights", "f32", *THREAD],
        "finery, llamacpp f16": [*ours, "--engine", "llamacpp", "--weights", "f16", *THREAD],
        "finery, llamacpp q8_0": [*ours, "--engine", "llamacpp", "--weights", "q8_0", *THREAD],
        "finery, transformers": [*ours, "--engine", "transformers"],
        "transformers serve": [
            "transformers", "serve", str(model), "--port", str(port), "--device", "cpu",
            "--dtype", "float32",
        ],
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--only", action="append", help="a server's name; may be repeated")
    parser.add_argument("--tokens", type=int, default=48)
    parser.add_argument("--rounds", type=int, default=2, help="of eight questions a client")
    parser.add_argument("--port", type=int, default=8123)
    asked = parser.parse_args()
    model = asked.model.resolve()
    table = Table("server", "1 stream", "8 streams", "ratio", "first token", "memory")
    for name, command in servers(model, asked.port).items():
        if asked.only and name not in asked.only:
            continue
        with started(command, asked.port) as process, said(name):
            called = model.name if name.startswith("finery") else str(model)
            client = Client(asked.port, called, asked.tokens)
            client.answer(QUESTIONS[0])
            first = statistics.median(client.first(each) for each in QUESTIONS[1:6])
            one = rate(process, client, QUESTIONS[: 8 * asked.rounds], 1)
            eight = rate(process, client, (QUESTIONS * 8)[: 8 * 8 * asked.rounds // 4], 8)
            memory = sum(each.memory_info().rss for each in family(process)) / 2**20
            row = f"{one:.1f}", f"{eight:.1f}", f"{eight / one:.1f}", f"{first:.2f} s"
            table.add_row(name, *row, f"{memory:.0f} MB")
            print(name, *row, flush=True)
    Console(width=100).print(table, "tokens a CPU second, one thread")


class Client:
    """Asks a server, whoever's it is."""

    def __init__(self, port: int, model: str, tokens: int) -> None:
        self._http = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=600)
        self._body = {"model": model, "temperature": 0, "max_tokens": tokens}

    def answer(self, question: str) -> int:
        """The tokens of an answer."""
        messages = [{"role": "user", "content": question}]
        found = self._http.post("/v1/chat/completions", json=self._body | {"messages": messages})
        found.raise_for_status()
        return found.json()["usage"]["completion_tokens"]

    def first(self, question: str) -> float:
        """Seconds to the first words."""
        begun = time.perf_counter()
        messages = [{"role": "user", "content": question}]
        body = self._body | {"messages": messages, "stream": True}
        with self._http.stream("POST", "/v1/chat/completions", json=body) as answer:
            for line in answer.iter_lines():
                if '"content":"' in line.replace(" ", "") and '"content":""' not in line:
                    return time.perf_counter() - begun
        raise RuntimeError("no words")


def rate(process: psutil.Process, client: Client, questions: list[str], streams: int) -> float:
    """Tokens a CPU second."""
    before = seconds(process)
    with ThreadPoolExecutor(streams) as pool:
        tokens = sum(pool.map(client.answer, questions))
    return tokens / (seconds(process) - before)


def seconds(process: psutil.Process) -> float:
    return sum(sum(each.cpu_times()[:2]) for each in family(process))


def family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


@contextmanager
def said(name: str) -> Iterator[None]:
    """A server that fails is said, and the others are measured."""
    try:
        yield
    except httpx.HTTPError as error:
        print(f"{name}: {error}", flush=True)


@contextmanager
def started(command: list[str], port: int) -> Iterator[psutil.Process]:
    alone = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    server = subprocess.Popen(command, env=os.environ | alone)
    try:
        while True:
            if server.poll() is not None:
                sys.exit(f"{' '.join(command)}: ended with status {server.returncode}")
            try:
                if httpx.get(f"http://127.0.0.1:{port}/health", timeout=2).status_code == 200:
                    break
            except httpx.TransportError:
                time.sleep(0.2)
        yield psutil.Process(server.pid)
    finally:
        server.terminate()
        server.wait(60)


if __name__ == "__main__":
    main()
