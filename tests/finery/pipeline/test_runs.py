"""The record of runs outlives whatever cut it."""

from pathlib import Path

from finery.pipeline.runs import RUNS, Outcome, outcomes_of, record


def test_a_line_cut_by_a_full_disk_costs_that_line_alone(tmp_path: Path) -> None:
    first = [Outcome("train", "ran", "never run", 3.5)]
    record("first", first, tmp_path)
    with (tmp_path / RUNS).open("a") as file:
        file.write('\n{"run": "cut", "ended": 17')
    second = [Outcome("train", "failed", "train: no room", exit_status=1)]
    record("second", second, tmp_path)
    assert outcomes_of("first", tmp_path) == first
    assert outcomes_of("second", tmp_path) == second
    assert outcomes_of("cut", tmp_path) == []


def test_what_a_stage_said_is_no_end_of_line(tmp_path: Path) -> None:
    said = [Outcome("prepare", "failed", "data/a\u2028b\udcff.json: row 3\x85")]
    record("first", said, tmp_path)
    with (tmp_path / RUNS).open("a") as file:
        file.write("\n17\n[]\n{}")
    assert outcomes_of("first", tmp_path) == said
