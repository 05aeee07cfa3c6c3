"""Run a source's `fetch` in a process of its own: the hubs read their environment on import."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

HUBS = ("HF_", "HUGGINGFACE_", "MODELSCOPE_")
FETCH = """
import json, sys
from importlib import import_module
from pathlib import Path
from finery.errors import UserError
source, base, revisions = sys.argv[1:]
fetch = import_module("finery.sources." + source.partition(":")[0]).fetch
Path(base).mkdir()
try:
    record = fetch(source, Path(base), revisions=Path(revisions))
except UserError as error:
    sys.exit("error: " + str(error))
print(json.dumps([record, "torch" in sys.modules]))
"""


@dataclass
class Client:
    """A machine with a cache of its own, that knows one hub."""

    home: Path
    endpoint: str
    runs: int = 0

    @property
    def revisions(self) -> Path:
        return self.home / "models" / "revisions.json"

    def fetch(self, source: str, **environment: str) -> tuple[Path, dict]:
        """The folder made and the record returned; asserts that torch stayed out of it."""
        base, done = self._run(source, environment)
        assert done.returncode == 0, done.stderr
        record, torch = json.loads(done.stdout.splitlines()[-1])
        assert not torch
        return base, record

    def error(self, source: str, **environment: str) -> str:
        """The one line that a failure says; asserts that it is one line and no traceback."""
        _, done = self._run(source, environment)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        lines = done.stderr.partition("error: ")[2].splitlines()
        assert len(lines) == 1
        return lines[0]

    def _run(self, source: str, more: dict[str, str]) -> tuple[Path, subprocess.CompletedProcess]:
        self.runs += 1
        base = self.home / f"base{self.runs}"
        mine = {
            "HF_HOME": str(self.home / "hf"),
            "HF_ENDPOINT": self.endpoint,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",  # as finery.stage.run does
            "MODELSCOPE_CACHE": str(self.home / "modelscope"),
            "MODELSCOPE_HOME": str(self.home / "modelscope-home"),
            "MODELSCOPE_ENDPOINT": self.endpoint,
            "NO_PROXY": "127.0.0.1",
        }
        # Libraries that other tests import leave settings of their own, and so may a user's shell.
        others = {k: v for k, v in os.environ.items() if not k.startswith(HUBS)}
        command = [sys.executable, "-c", FETCH, source, str(base), str(self.revisions)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=120, env=others | mine | more
        )
        return base, done
