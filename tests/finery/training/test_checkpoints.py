from pathlib import Path

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from finery.training.checkpoints import last_complete, mark_complete


def checkpoint(folder: Path, step: int, complete: bool) -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    (path / "adapter_model.safetensors").write_bytes(b"half")
    if complete:
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
    assert last_complete(tmp_path) == expected
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {"other"} | {f"checkpoint-{step}" for step in left}
