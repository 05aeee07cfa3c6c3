"""Where training has come to, in a line each time the Trainer logs."""

import time
from typing import Any


def report_progress() -> Any:
    """A Trainer callback that prints the step, its loss, how fast it goes and what is left."""
    from transformers import TrainerCallback

    class ReportProgress(TrainerCallback):
        _start, _first = time.monotonic(), 0

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self._start, self._first = time.monotonic(), state.global_step

        def on_log(
            self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any
        ) -> None:
            said = _said(logs)
            if said and state.is_world_process_zero:
                seconds = time.monotonic() - self._start
                each = seconds / max(1, state.global_step - self._first)
                left = each * (state.max_steps - state.global_step)
                step = f"step {state.global_step} of {state.max_steps}"
                print(
                    f"{step}, {said}, {_speed(logs)}{each:.1f} s each, {left:.0f} s left",
                    flush=True,
                )

    return ReportProgress()


def _speed(logs: dict[str, Any]) -> str:
    """Tokens a second since this run began; padding is not counted."""
    speed = logs.get("train_tokens_per_second")
    return f"{speed:.0f} tokens/s, " if speed else ""


def _said(logs: dict[str, Any]) -> str:
    names = {"loss": "loss", "reward": "reward", "eval_loss": "validation loss"}
    return ", ".join(f"{words} {logs[key]:.4g}" for key, words in names.items() if key in logs)
