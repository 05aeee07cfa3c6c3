"""Read datasets from a hub in a process of its own: the hubs read their environment on import."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HUBS = ("HF_", "HUGGINGFACE_", "MODELSCOPE_", "USE_MODELSCOPE", "XDG_")
CODE = """
import json, sys
from pathlib import Path
from finery.data.formats.dataset import open_dataset
from finery.data.datasets.remote import refresh
from finery.errors import UserError
for line in sys.stdin:
    what, folder = json.loads(line)
    try:
        if what == "refresh":
            found = refresh(Path(folder), ["d"])
        else:
            dataset = open_dataset(Path(folder), "d", None)
            found = [list(dataset.labels), [str(getattr(row, "text", row)) for row in dataset]]
    except UserError as error:
        found = str(error)
    assert not {"torch", "transformers"} & set(sys.modules)
    print("answer", json.dumps(found), flush=True)
"""


@dataclass
class Machine:
    """A machine with caches of its own, that knows one hub; its processes live with it."""

    home: Path
    endpoint: str
    _processes: dict[str, subprocess.Popen[str]] = field(default_factory=dict)

    def ask(self, what: str, folder: Path, **environment: str) -> Any:
        """What `refresh` or `read` finds, or the message of its error."""
        key = json.dumps(environment)
        if key not in self._processes:
            self._processes[key] = self._process(environment)
        process = self._processes[key]
        assert process.stdin and process.stdout
        print(json.dumps([what, str(folder)]), file=process.stdin, flush=True)
        for line in process.stdout:
            if line.startswith("answer "):
                return json.loads(line.removeprefix("answer "))
        raise AssertionError("the process ended: its traceback is above")

    def stop(self) -> None:
        for process in self._processes.values():
            process.communicate(timeout=60)

    def _process(self, more: dict[str, str]) -> subprocess.Popen[str]:
        mine = {
            "HF_HOME": str(self.home / "hf"),
            "HF_ENDPOINT": self.endpoint,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "MODELSCOPE_CACHE": str(self.home / "modelscope"),
            "MODELSCOPE_HOME": str(self.home / "modelscope-home"),
            "MODELSCOPE_ENDPOINT": self.endpoint,
            "NO_PROXY": "127.0.0.1",
        }
        others = {key: value for key, value in os.environ.items() if not key.startswith(HUBS)}
        return subprocess.Popen(
            [sys.executable, "-c", CODE],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=others | mine | more,
        )


@contextmanager
def machine(home: Path, endpoint: str) -> Iterator[Machine]:
    made = Machine(home, endpoint)
    try:
        yield made
    finally:
        made.stop()


def describe(place: Path, /, **entry: Any) -> None:
    """Write a dataset_info.json with a dataset `d`, of texts."""
    place.mkdir(exist_ok=True)
    info = {"d": {"columns": {"prompt": "text"}} | entry}
    (place / "dataset_info.json").write_text(json.dumps(info))


def revisions(folder: Path) -> dict[str, str]:
    """What revisions.json remembers."""
    return json.loads((folder / "revisions.json").read_text())
