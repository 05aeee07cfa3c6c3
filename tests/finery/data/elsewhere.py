"""Read a dataset from a hub in a process of its own: the hubs read their environment on import."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HUBS = ("HF_", "HUGGINGFACE_", "MODELSCOPE_", "USE_MODELSCOPE", "XDG_")
CODE = """
import json, sys
from pathlib import Path
from finery.data.reading import open_dataset
from finery.data.remote import refresh
from finery.errors import UserError
what, folder = sys.argv[1], Path(sys.argv[2])
try:
    if what == "refresh":
        found = refresh(folder, ["d"])
    else:
        dataset = open_dataset(folder, "d", None)
        found = [list(dataset.labels), [str(getattr(row, "text", row)) for row in dataset]]
except UserError as error:
    sys.exit("error: " + str(error))
print(json.dumps([found, sorted({"torch", "transformers"} & set(sys.modules))]))
"""


@dataclass
class Reader:
    """A machine with caches of its own, that knows one hub, and a folder with a dataset `d`."""

    home: Path
    endpoint: str

    @property
    def folder(self) -> Path:
        return self.home / "raw"

    @property
    def revisions(self) -> dict[str, str]:
        return json.loads((self.folder / "revisions.json").read_text())

    def describe(self, **entry: Any) -> None:
        """Write dataset_info.json with this entry, of texts."""
        self.folder.mkdir(exist_ok=True)
        info = {"d": {"columns": {"prompt": "text"}} | entry}
        (self.folder / "dataset_info.json").write_text(json.dumps(info))

    def refresh(self, **environment: str) -> list[str]:
        return self._run("refresh", environment)

    def read(self, **environment: str) -> tuple[list[str], list[str]]:
        """What the files are called, and the texts in them."""
        labels, texts = self._run("read", environment)
        return labels, texts

    def error(self, what: str = "read", **environment: str) -> str:
        """The one line that a failure says."""
        done = self._process(what, environment)
        assert done.returncode == 1 and "Traceback" not in done.stderr, done.stderr
        (line,) = done.stderr.partition("error: ")[2].splitlines()
        return line

    def _run(self, what: str, environment: dict[str, str]) -> Any:
        done = self._process(what, environment)
        assert done.returncode == 0, done.stderr
        found, heavy = json.loads(done.stdout.splitlines()[-1])
        assert heavy == []
        return found

    def _process(self, what: str, more: dict[str, str]) -> subprocess.CompletedProcess[str]:
        mine = {
            "HF_HOME": str(self.home / "hf"),
            "HF_ENDPOINT": self.endpoint,
            "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "MODELSCOPE_CACHE": str(self.home / "modelscope"),
            "MODELSCOPE_HOME": str(self.home / "modelscope-home"),
            "MODELSCOPE_ENDPOINT": self.endpoint,
            "XDG_CACHE_HOME": str(self.home / "cache"),
            "NO_PROXY": "127.0.0.1",
        }
        others = {key: value for key, value in os.environ.items() if not key.startswith(HUBS)}
        command = [sys.executable, "-c", CODE, what, str(self.folder)]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=120, env=others | mine | more
        )
