"""The same inputs give the same bytes, wherever the project lies."""

from collections.abc import Callable

from .project import Project


def test_two_runs_from_scratch_agree_to_the_byte(
    pipeline: Project, new_project: Callable[[str], Project]
) -> None:
    again = new_project("again")
    outcome = again.repro()
    assert outcome.status == 0, outcome.output
    assert len(outcome.ran) == 18 and not outcome.restored
    made = ("data/prepared", "models", "reports")
    first, second = pipeline.contents(*made), again.contents(*made)
    assert {name for name in {*first, *second} if first.get(name) != second.get(name)} == set()
    assert again.read("dvc.lock") == pipeline.read("dvc.lock")
