"""What a retraining says of the stage that failed."""

import pytest

from finery.errors import PipelineError
from finery.pipeline.runs import Outcome
from flows.retrain_outcome import BadData, FailedGate
from flows.retrain_steps import check_ran


@pytest.mark.parametrize(
    ("stage", "status", "kind"),
    [
        ("prepare@sft", 2, BadData),
        ("prepare_test", 2, BadData),
        ("prepare@sft", 1, PipelineError),
        ("train@sft", 2, PipelineError),
        ("gate", 1, FailedGate),
    ],
)
def test_what_failed_says_whether_the_data_was_bad(
    stage: str, status: int, kind: type[PipelineError]
) -> None:
    failed = Outcome(stage, "failed", "this and that", exit_status=status)
    with pytest.raises(PipelineError, match="this and that") as error:
        check_ran([Outcome("download", "ran"), failed, Outcome("package@merged", "blocked")])
    assert error.type is kind
