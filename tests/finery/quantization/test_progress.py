import subprocess
import sys
from pathlib import Path

from finery.quantization.progress import LAYER, _progress

LINES = "Quantizing layer 3 of 29\rQuantizing layer 4 of 29\n"


SCRIPT = """
import os, subprocess, sys
from pathlib import Path
from finery.quantization.progress import logged
with logged(Path("logs/quantize.log")):
    print("from Python")
    sys.stdout.flush()
    os.write(2, b"from below Python\\n")
    subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
print("afterwards")
"""


def test_output_goes_to_the_log_and_comes_back(tmp_path: Path):
    command = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("afterwards\n", "")
    log = (tmp_path / "logs" / "quantize.log").read_text()
    assert log == "from Python\nfrom below Python\nfrom a child\n"


def test_the_layer_is_read_from_the_bars():
    assert LAYER.findall(LINES.encode())[-1] == (b"4", b"29")


def test_progress_has_a_rate_and_the_time_left():
    assert _progress(0, 29, 5.0) == "layer 1 of 30\n"
    assert _progress(4, 29, 20.0) == "layer 5 of 30, 5.0 s each, 130 s left\n"
