from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import TrainerControl, TrainerState, TrainingArguments

from finery.training.checkpoints import last_good, mark_complete


def checkpoint(folder: Path, step: int, complete: bool) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    (path / "adapter_model.safetensors").write_bytes(b"half")
    if complete:
        save_file({"a": torch.ones(2)}, path / "adapter_model.safetensors")
        (path / "trainer_state.json").write_text("{}")
        arguments = TrainingArguments(output_dir=str(folder), report_to="none")
        state = TrainerState(global_step=step)
        mark_complete().on_save(arguments, state, TrainerControl())
    return path


@pytest.mark.parametrize(
    "steps, last, left",
    [
        ({}, None, set()),
        ({20: True}, 20, {20}),
        ({20: False}, None, set()),
        ({20: True, 40: False}, 20, {20}),
        ({9: True, 100: True, 20: True, 120: False}, 100, {9, 20, 100}),
    ],
)
def test_the_newest_whole_one_is_resumed_from(
    tmp_path: Path, steps: dict[int, bool], last: int | None, left: set[int]
):
    for step, complete in steps.items():
        checkpoint(tmp_path, step, complete)
    (tmp_path / "other").mkdir()
    expected = None if last is None else tmp_path / f"checkpoint-{last}"
    assert last_good(tmp_path) == expected
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"other"} | {f"checkpoint-{step}" for step in left}


@pytest.mark.parametrize("file, content", [
    ("adapter_model.safetensors", b"half"), ("adapter_model.safetensors", None),
    ("trainer_state.json", b"{"), ("trainer_state.json", None), ("optimizer.pt", b"half"),
])  # fmt: skip
def test_a_checkpoint_that_cannot_be_read_is_removed(
    tmp_path: Path, file: str, content: bytes | None
):
    older, newer = (checkpoint(tmp_path, step, True) for step in (20, 40))
    (newer / file).unlink(missing_ok=True)
    if content is not None:
        (newer / file).write_bytes(content)
    assert last_good(tmp_path) == older
    assert not newer.exists()
