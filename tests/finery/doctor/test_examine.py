"""The whole examination, and the command."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from finery.check import nvidia
from finery.doctor import examine as doctor
from finery.doctor.finding import Finding
from finery.doctor.report import summary

from .conftest import ROOT, change, executable, first_on_path, nvidia_smi

CARD = "NVIDIA H100 PCIe, 81559, 1"


def finery_doctor(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    path = os.pathsep.join(filter(None, [environment.pop("PYTHONPATH", ""), str(ROOT)]))
    return subprocess.run(
        [sys.executable, "-m", "finery.cli", "doctor", *arguments],
        env=os.environ | {"PYTHONPATH": path} | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def levels(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.level for finding in findings}


def test_a_project_that_can_run(project: Path):
    findings = doctor.examine(project)
    assert [f for f in findings if f.level == "problem"] == []
    found = levels(findings)
    assert {found[name] for name in ("settings", "memory", "disk", "base model", "DVC")} == {"ok"}
    assert found["git"] == "ok" and found["DVC remote"] == "note"
    assert all(f.advice and "\n" not in f.advice for f in findings if f.level != "ok")


def test_it_changes_nothing_in_the_project(project: Path):
    doctor.examine(project)
    status = subprocess.run(["git", "status", "--porcelain"], capture_output=True, text=True)
    assert status.stdout == ""
    assert not list(project.rglob(".partial-*"))


def test_the_command_says_so_too(project: Path):
    done = finery_doctor()
    assert (done.returncode, done.stderr) == (0, "")
    assert "✓ settings" in done.stdout
    assert done.stdout.splitlines()[-1].startswith("The pipeline can run here: ")


def test_plain_marks_where_the_terminal_has_no_others(project: Path):
    done = finery_doctor(PYTHONIOENCODING="ascii")
    assert "ok settings" in done.stdout and "✓" not in done.stdout


def test_a_pipeline_that_cannot_run_here(project: Path):
    change({"model.source": "path:gone"})
    done = finery_doctor("--json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert found["runs_here"] is False
    (wrong,) = (f for f in found["findings"] if f["level"] == "problem")
    assert (wrong["check"], wrong["what"]) == ("base model", "path:gone: no such folder")
    assert summary([Finding(**f) for f in found["findings"]]).startswith("The pipeline cannot run")


def test_wrong_settings_and_all_the_rest(project: Path):
    text = Path("params.yaml").read_text()
    Path("params.yaml").write_text(text.replace("rank:", "rnak:", 1))
    findings = doctor.examine(project)
    (wrong,) = (f for f in findings if f.level == "problem")
    assert wrong.what.endswith("train.sft.tuner.rnak: unknown key; did you mean rank?")
    assert levels(findings)["git"] == "ok"


def test_a_folder_inside_a_project(project: Path):
    (wrong,) = doctor.examine(project / "tiny")
    assert (wrong.level, wrong.advice) == ("problem", f"cd {project}")


def test_a_folder_that_is_no_project(tmp_path: Path):
    (wrong,) = doctor.examine(tmp_path)
    assert wrong.level == "problem" and "no project" in wrong.what


def test_a_check_that_hangs(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    executable(tmp_path / "bin/nvidia-smi", "exec sleep 20")
    monkeypatch.setenv("PATH", first_on_path(tmp_path / "bin"))
    monkeypatch.setattr(doctor, "SECONDS_WITH_GPU", 0.5)
    begun = time.monotonic()
    findings = doctor.examine(project)
    assert time.monotonic() - begun < 8
    (hung,) = (f for f in findings if f.check == "GPU")
    assert (hung.level, hung.what) == ("note", "could not be examined (no answer within 0 s)")


def test_a_program_that_hangs_is_given_up(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    executable(tmp_path / "bin/nvidia-smi", "exec sleep 20")
    monkeypatch.setenv("PATH", first_on_path(tmp_path / "bin"))
    monkeypatch.setattr(nvidia, "SECONDS", 0.3)
    assert "timed out" in nvidia.cards().trouble


def test_a_check_that_fails_itself(project: Path):
    Path("constraints.txt").write_bytes(b"\xff\xfe\x00")
    (failed,) = (f for f in doctor.examine(project) if f.check == "libraries")
    assert failed.level == "note" and "UnicodeDecodeError" in failed.what


def test_it_is_quick_and_imports_nothing_heavy(project: Path):
    code = (
        "import sys, time; begun = time.perf_counter()\n"
        "from finery.doctor.examine import examine\n"
        "examine()\n"
        "print(sorted({'torch', 'transformers', 'prefect'} & sys.modules.keys()))\n"
        "print(time.process_time())"
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = [sys.executable, "-c", code]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, timeout=60)
    heavy, seconds = done.stdout.splitlines()
    assert heavy == "[]"
    assert float(seconds) < 3


def test_a_card_and_a_torch_that_finds_none(project: Path, tmp_path: Path):
    """A torch built for CUDA is asked, in a process of its own; here it says that it sees none."""
    nvidia_smi(tmp_path / "bin", "580.65.06", "13.0", CARD)
    torch = tmp_path / "path/torch"
    torch.mkdir(parents=True)
    (torch / "version.py").write_text("__version__ = '2.13.0+cu130'\ncuda = '13.0'\nhip = None\n")
    (torch / "__init__.py").write_text("class cuda:\n    is_available = lambda: False\n")
    path = first_on_path(tmp_path / "bin")
    done = finery_doctor("--json", PATH=path, PYTHONPATH=str(torch.parent))
    (found,) = (f for f in json.loads(done.stdout)["findings"] if f["check"] == "GPU")
    assert found["level"] == "note" and "finds no CUDA for NVIDIA H100" in found["what"]
    (torch / "__init__.py").write_text("raise RuntimeError('no kernel image is available')")
    done = finery_doctor("--json", PATH=path, PYTHONPATH=str(torch.parent))
    (found,) = (f for f in json.loads(done.stdout)["findings"] if f["check"] == "GPU")
    assert done.returncode == 1
    assert found["level"] == "problem" and "no kernel image is available" in found["what"]
    assert "torch==2.13.0+cu126" in found["advice"]
