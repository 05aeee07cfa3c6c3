"""The same inputs give the same bytes, wherever the project lies."""

from .project import Project


def test_two_runs_from_scratch_agree_to_the_byte(
    pipeline: Project, another_pipeline: Project
) -> None:
    assert pipeline.folder != another_pipeline.folder
    made = ("data/prepared", "models", "reports")
    first, second = pipeline.contents(*made), another_pipeline.contents(*made)
    assert {name for name in {*first, *second} if first.get(name) != second.get(name)} == set()
    assert another_pipeline.read("dvc.lock") == pipeline.read("dvc.lock")
