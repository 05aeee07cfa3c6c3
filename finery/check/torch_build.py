"""Which torch is installed, read from its files: importing it takes seconds."""

import ast
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

SECONDS = 60
UNAVAILABLE = "torch.cuda.is_available() is False"
TRY_DEVICE = f"""
import torch
assert torch.cuda.is_available(), "{UNAVAILABLE}"
total = (torch.ones(8, device="cuda:0", dtype=torch.float32) * 2).sum().item()
assert total == 16.0, total
"""


@dataclass(frozen=True)
class TorchBuild:
    version: str
    cuda: str | None
    """The CUDA it was built with, such as 13.0; None for a build without."""
    hip: str | None = None


def torch_build() -> TorchBuild | None:
    """The installed torch; None if there is none."""
    spec = find_spec("torch")
    if spec is None or spec.origin is None:
        return None
    values = {}
    for node in ast.parse((Path(spec.origin).parent / "version.py").read_text("utf-8")).body:
        target = node.targets[0] if isinstance(node, ast.Assign) else getattr(node, "target", None)
        if isinstance(target, ast.Name) and isinstance(node.value, ast.Constant):
            values[target.id] = node.value.value
    return TorchBuild(values["__version__"], values.get("cuda"), values.get("hip"))


def device_trouble() -> str | None:
    """Compute something on the first GPU in a process of its own; what went wrong, or None."""
    command = [sys.executable, "-c", TRY_DEVICE]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return f"no answer within {SECONDS} s"
    if done.returncode == 0:
        return None
    return ([line for line in done.stderr.splitlines() if line.strip()] or ["no word"])[-1]
