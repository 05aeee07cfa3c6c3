import subprocess
import sys
from pathlib import Path

from finery.training.loss import last_losses, write_csv, write_png

ROOT = Path(__file__).resolve().parents[3]
LOG = [
    {"step": 5, "epoch": 0.5, "loss": 2.0, "learning_rate": 1e-4, "grad_norm": 0.5},
    {"step": 10, "epoch": 1.0, "loss": 1.0, "learning_rate": 5e-5, "grad_norm": 0.25},
    {"step": 10, "epoch": 1.0, "eval_loss": 1.5, "eval_runtime": 3.21},
    {"step": 10, "epoch": 1.0, "train_runtime": 9.87, "total_flos": 3},
]


def test_a_row_a_step_and_no_timings(tmp_path: Path):
    write_csv(LOG, tmp_path / "loss.csv")
    assert (tmp_path / "loss.csv").read_bytes() == (
        b"step,epoch,loss,eval_loss,learning_rate,grad_norm\n"
        b"5,0.5,2.0,,0.0001,0.5\n"
        b"10,1.0,1.0,1.5,5e-05,0.25\n"
    )


def test_the_picture_is_the_same_bytes_in_another_process(tmp_path: Path):
    write_png(LOG, tmp_path / "first.png")
    code = (
        f"from pathlib import Path; from finery.training.loss import write_png; write_png({LOG}, "
    )
    command = [sys.executable, "-c", f"{code}Path({str(tmp_path / 'second.png')!r}))"]
    subprocess.run(command, cwd=ROOT, check=True, timeout=60)
    first = (tmp_path / "first.png").read_bytes()
    assert first.startswith(b"\x89PNG") and len(first) > 5000
    assert first == (tmp_path / "second.png").read_bytes()
    write_png(LOG[:1], tmp_path / "third.png")
    assert (tmp_path / "third.png").read_bytes() != first


def test_the_last_losses():
    assert last_losses(LOG) == {"train_loss": 1.0, "eval_loss": 1.5}
    assert last_losses(LOG[:1]) == {"train_loss": 2.0, "eval_loss": None}


def test_what_a_method_measures_besides_has_columns_of_its_own(tmp_path: Path):
    log = [
        {"step": 1, "loss": 2.0, "accuracy": 0.5, "num_tokens": 9},
        {"step": 2, "loss": 1.0, "accuracy": 0.75},
        {"step": 2, "eval_loss": 1.5, "eval_accuracy": 0.25},
    ]
    write_csv(log, tmp_path / "loss.csv")
    header, *rows = (tmp_path / "loss.csv").read_text().splitlines()
    assert header == "step,epoch,loss,eval_loss,learning_rate,grad_norm,accuracy,eval_accuracy"
    assert rows == ["1,,2.0,,,,0.5,", "2,,1.0,1.5,,,0.75,0.25"]
    assert last_losses(log) == {
        "train_loss": 1.0, "eval_loss": 1.5, "accuracy": 0.75, "eval_accuracy": 0.25,
    }  # fmt: skip
