"""The stages of a run on this machine, in this checkout."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from prefect.futures import PrefectFuture

from finery.params.schema import load
from finery.pipeline.recovery import recover
from finery.pipeline.runs import Outcome
from finery.pipeline.status import StageStatus, status
from flows.budget import Budget
from flows.stage_task import outcome_of, stage_task


class Here:
    """Runs stages by `dvc repro`, side by side as far as this machine's accelerators go."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __enter__(self) -> "Here":
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def prepare(self) -> list[str]:
        """Mend what a kill left behind; a line for each thing."""
        self._budget = Budget(load(self._root / "params.yaml").resources)
        return recover(self._root)

    def plan(self) -> list[StageStatus]:
        return status(self._root)

    def submit(
        self,
        stage: StageStatus,
        outcomes: Mapping[str, Outcome],
        above: Sequence[PrefectFuture[Any]],
    ) -> PrefectFuture[Any] | None:
        """Start a stage whose upstream has ended; None while there is no room for it."""
        same = all(outcomes[name].result == "cached" for name in stage.after)
        unchanged = same and stage.state != "changed"
        if not unchanged and not self._budget.fits(stage.name):
            return None
        environment = {} if unchanged else self._budget.take(stage.name)
        return stage_task.submit(stage.name, self._root, unchanged, environment, wait_for=above)

    def ended(self, stage: str, future: PrefectFuture[Any]) -> Outcome:
        self._budget.give_back(stage)
        return outcome_of(stage, future.state)
