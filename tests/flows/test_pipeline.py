"""The graph as a flow: what runs, what does not, side by side, and what a failure stops."""

import time
from collections.abc import Callable
from pathlib import Path

import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId

from finery.errors import PipelineError, UserError
from finery.pipeline.runs import Outcome
from finery.pipeline.status import StageStatus, needed, status
from flows.pipeline import pipeline
from flows.pipeline import run as pipeline_run

pytestmark = pytest.mark.usefixtures("prefect_page")
Diamond = Callable[..., Path]


def run(root: Path, *stages: str) -> dict[str, Outcome]:
    return {outcome.stage: outcome for outcome in pipeline_run(root, stages)}


def results(outcomes: dict[str, Outcome]) -> dict[str, str]:
    return {name: outcome.result for name, outcome in outcomes.items()}


def test_everything_runs_once_and_then_nothing(diamond: Diamond) -> None:
    root = diamond()
    outcomes = run(root)
    assert set(results(outcomes).values()) == {"ran"}
    assert (root / "last").read_text() == "one\none\n"
    outcomes = run(root)
    assert set(results(outcomes).values()) == {"cached"}


def test_a_stage_below_runs_only_if_its_inputs_came_out_different(diamond: Diamond) -> None:
    root = diamond(left="tr -d x < first > left")
    run(root)
    (root / "input").write_text("onex\n")
    outcomes = run(root)
    assert results(outcomes) == {"first": "ran", "left": "ran", "right": "ran", "last": "ran"}
    assert outcomes["first"].why == "input changed"
    (root / "dvc.yaml").write_text((root / "dvc.yaml").read_text().replace("tr -d x", "tr -d xy"))
    outcomes = run(root)
    expected = {"first": "cached", "left": "ran", "right": "cached", "last": "cached"}
    assert results(outcomes) == expected


def test_what_ran_before_comes_back_from_the_run_cache(diamond: Diamond) -> None:
    root = diamond()
    run(root)
    (root / "input").write_text("two\n")
    run(root)
    (root / "input").write_text("one\n")
    outcomes = run(root)
    assert set(results(outcomes).values()) == {"restored"}


def test_independent_stages_run_at_once(diamond: Diamond) -> None:
    root = diamond(left="sleep 4 && cp first left", right="sleep 4 && cp first right")
    run(root, "first")
    start = time.monotonic()
    outcomes = run(root, "left", "right")
    assert time.monotonic() - start < outcomes["left"].seconds + outcomes["right"].seconds - 2


def test_a_failure_stops_what_is_below_it_and_nothing_else(diamond: Diamond) -> None:
    root = diamond(left="echo 'left: no such luck' && exit 3")
    outcomes = run(root)
    assert results(outcomes) == {
        "first": "ran", "left": "failed", "right": "ran", "last": "blocked",
    }  # fmt: skip
    assert outcomes["left"].why == "left: no such luck"
    assert outcomes["left"].exit_status == 3
    assert (root / "right").exists()


def test_a_killed_stage_is_no_success_and_says_how_it_ended(diamond: Diamond) -> None:
    outcomes = run(diamond(left="kill -9 $$", right="kill -9 0"))
    stage, everything = outcomes["left"], outcomes["right"]
    assert (stage.result, stage.exit_status) == ("failed", 137)
    assert stage.why.startswith("failed to reproduce 'left'") and stage.why.endswith("with -9")
    assert (everything.result, everything.exit_status) == ("failed", 137)
    assert "never run" not in everything.why


def test_the_page_shows_the_stages_the_metrics_and_the_log(diamond: Diamond) -> None:
    root = diamond(left="echo a line of left && cp first left")
    state = pipeline(root, [], return_state=True)
    with get_client(sync_client=True) as client:
        run_id = state.state_details.flow_run_id
        wanted = {"artifacts": {"flow_run_id": {"any_": [str(run_id)]}}}
        found = client.request("POST", "/artifacts/filter", json=wanted).json()
        of_run = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run_id]))
        for _ in range(50):  # logs are sent by a thread of their own
            logs = [log.message for log in client.read_logs(of_run, limit=200, offset=0)]
            if "a line of left" in logs:
                break
            time.sleep(0.2)
    assert "a line of left" in logs
    artifacts = {artifact["key"]: artifact["data"] for artifact in found}
    assert '"stage": "left"' in artifacts["stages"]
    assert artifacts["report"].startswith("# Metrics")


def test_only_what_is_asked_for_and_what_it_needs(diamond: Diamond) -> None:
    root = diamond()
    outcomes = run(root, "left")
    assert results(outcomes) == {"first": "ran", "left": "ran"}
    with pytest.raises(UserError, match="lost: unknown stage; did you mean last"):
        needed(status(root), ["lost"])


def test_an_address_without_an_engine_runs_nothing_here(diamond: Diamond) -> None:
    root = diamond()
    with pytest.raises(PipelineError, match=r"--address head:6379: is for a cluster; add --engine"):
        pipeline_run(root, address="head:6379")
    assert not (root / "first").exists()


def test_a_name_stands_for_all_its_items() -> None:
    plan = [StageStatus(name, "unchanged", (), ()) for name in ("merge", "pack@a", "pack@b")]
    assert [stage.name for stage in needed(plan, ["pack"])] == ["pack@a", "pack@b"]
