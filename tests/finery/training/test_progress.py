"""A line for each time the Trainer logs: the step, the loss, the time it takes and what is left."""

import re

import pytest
from transformers import TrainerControl, TrainerState, TrainingArguments

from finery.training.progress import report_progress


@pytest.mark.parametrize(
    ("logs", "said"),
    [
        ({"loss": 2.41834, "learning_rate": 1e-3}, "loss 2.418"),
        ({"eval_loss": 2.5, "eval_runtime": 3.0}, "validation loss 2.5"),
    ],
)
def test_a_line_for_each_log(
    logs: dict[str, float], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    progress, state = report_progress(), TrainerState(global_step=20, max_steps=82)
    progress.on_train_begin(TrainingArguments(), state, TrainerControl())
    state.global_step = 30
    progress.on_log(TrainingArguments(), state, TrainerControl(), logs=logs)
    line = rf"step 30 of 82, {said}, \d\.\d s each, \d+ s left\n"
    assert re.fullmatch(line, capsys.readouterr().out)


def test_nothing_for_what_is_no_loss(capsys: pytest.CaptureFixture[str]) -> None:
    progress, state = report_progress(), TrainerState(global_step=82, max_steps=82)
    progress.on_train_begin(TrainingArguments(), state, TrainerControl())
    progress.on_log(TrainingArguments(), state, TrainerControl(), logs={"train_runtime": 240.0})
    assert capsys.readouterr().out == ""
