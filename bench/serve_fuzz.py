"""Requests drawn from the server's own OpenAPI, by schemathesis: no 500, no hang, memory flat.

    python bench/serve_fuzz.py URL --schemathesis PATH [--examples 5000] [--pid PID]

The server runs already; PATH is schemathesis's program, of an environment of its own. Half of the
requests are valid, the others break one rule each.
"""

import argparse
import subprocess
import sys
import threading
import time

import httpx
import psutil


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("--schemathesis", default="schemathesis")
    parser.add_argument("--examples", type=int, default=5000, help="for each endpoint")
    parser.add_argument("--pid", type=int, help="the server's, to watch its memory")
    asked = parser.parse_args()
    ended, seen = threading.Event(), []
    watching = threading.Thread(target=watch, args=(asked.url, asked.pid, ended, seen))
    watching.start()
    command = [
        asked.schemathesis, "run", f"{asked.url}/openapi.json", "--phases", "fuzzing",
        "--mode", "all", "--max-examples", str(asked.examples), "--include-method", "POST",
        "--checks", "not_a_server_error,response_schema_conformance,status_code_conformance",
        "--request-timeout", "60", "--generation-database", "none", "--continue-on-failure",
    ]  # fmt: skip
    done = subprocess.run(command)
    ended.set()
    watching.join()
    slowest = max(delay for delay, _, _ in seen)
    ill = sum(status != 200 for _, status, _ in seen)
    memory = [round(rss / 2**20) for _, _, rss in seen]
    tenth = max(1, len(memory) // 10)
    print(f"health: asked {len(seen)} times, {ill} not 200, slowest {slowest:.2f} s")
    print(f"memory: {memory[0]} MB before, {memory[tenth]} after a tenth, {memory[-1]} at the end")
    status = httpx.get(f"{asked.url}/metrics").text
    print("\n".join(line for line in status.splitlines() if "finery_requests_total{" in line))
    sys.exit(done.returncode)


def watch(url: str, pid: int | None, ended: threading.Event, seen: list) -> None:
    """How long /health takes, what it says, and the server's memory, twice a second."""
    while not ended.wait(0.5):
        begun = time.perf_counter()
        try:
            status = httpx.get(f"{url}/health", timeout=30).status_code
        except httpx.TransportError:
            status = 0
        rss = 0
        if pid:
            process = psutil.Process(pid)
            family = [process, *process.children(recursive=True)]
            rss = sum(each.memory_info().rss for each in family)
        seen.append((time.perf_counter() - begun, status, rss))


if __name__ == "__main__":
    main()
