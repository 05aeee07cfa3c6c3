"""What answering does without is not loaded, and can be afterwards."""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
BESIDE = [
    "accelerate",
    "scipy",
    "sympy",
    "torch._dynamo.symbolic_convert",
    "torch.distributed.tensor",
]
PROGRAM = f"""
import gc, json, sys
from finery.stage.alone import load_libraries
load_libraries()
loaded = [name for name in {BESIDE} if name in sys.modules]
assert gc.isenabled() and "transformers.generation.utils" in sys.modules
import torch, torch._dynamo
assert torch.distributed.is_available()
twice = torch.compile(lambda x: x + x, backend="eager", fullgraph=True)
print(json.dumps([loaded, twice(torch.ones(1)).item(), callable(torch._dynamo.explain)]))
"""


def test_one_device_and_nothing_compiled_until_it_is_asked_for() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == [[], 2.0, True]
