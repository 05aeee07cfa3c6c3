"""Two runs never overlap in a checkout, and a dead one blocks nobody."""

import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from finery.pipeline.errors import BusyError, StoppedError
from finery.pipeline.one_run import only_run
from finery.pipeline.process import run_stage

ROOT = Path(__file__).resolve().parents[3]
HOLDER = """
import sys, time
from pathlib import Path
from finery.pipeline.one_run import only_run
with only_run(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_run_is_told_whose_turn_it_is_and_a_killed_one_lets_go(tmp_path: Path) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE
    )
    assert holder.stdout.readline() == b"held\n"
    said = rf"^another run is under way here \(pid {holder.pid}, since 20[\d: -]+\); wait for it$"
    with pytest.raises(BusyError, match=said), only_run(tmp_path):
        pass
    holder.kill()
    holder.wait()
    with only_run(tmp_path), pytest.raises(BusyError), only_run(tmp_path):
        pass
    with only_run(tmp_path):
        pass


def test_its_stages_end_with_the_run(tmp_path: Path) -> None:
    (tmp_path / ".dvc").mkdir()
    (tmp_path / ".dvc/config").write_text("[core]\n    no_scm = true\n")
    (tmp_path / "dvc.yaml").write_text("stages: {only: {cmd: echo began; sleep 60, outs: [out]}}")
    began, lines, ended = threading.Event(), [], []

    def on_line(line: str) -> None:
        lines.append(line)
        if line == "began":
            began.set()

    run = threading.Thread(target=lambda: ended.append(run_stage("only", on_line, tmp_path)))
    with only_run(tmp_path):
        run.start()
        assert began.wait(timeout=30)
    run.join(timeout=5)
    assert ended and ended[0] != 0
    assert re.search("failed to reproduce|Interrupted|interrupted", "\n".join(lines))
    with pytest.raises(StoppedError):
        run_stage("only", print, tmp_path)
