"""A run that was killed is marked as crashed, not left running: Prefect's heartbeat automation.

Recipe: https://docs.prefect.io/v3/advanced/detect-zombie-flows
"""

from datetime import timedelta

SILENT = "Mark silent runs as crashed"
HEARTBEAT = "prefect.flow-run.heartbeat"
ENDED = {f"prefect.flow-run.{state}" for state in ("Completed", "Failed", "Cancelled", "Crashed")}
PATIENCE = timedelta(seconds=120)
"""Of four heartbeats (PREFECT_FLOWS_HEARTBEAT_FREQUENCY is 30 s here), so that one may be late."""


def crash_silent_runs(after: timedelta = PATIENCE) -> None:
    """Have the server mark as crashed any run of which nothing was heard for so long."""
    from prefect.automations import Automation
    from prefect.client.schemas.objects import StateType
    from prefect.events.actions import ChangeFlowRunState
    from prefect.events.schemas.automations import EventTrigger, Posture
    from prefect.events.schemas.events import ResourceSpecification

    try:
        Automation.read(name=SILENT)
        return
    except ValueError:
        pass
    Automation(
        name=SILENT,
        trigger=EventTrigger(
            after={HEARTBEAT},
            expect={HEARTBEAT} | ENDED,
            match=ResourceSpecification({"prefect.resource.id": ["prefect.flow-run.*"]}),
            for_each={"prefect.resource.id"},
            posture=Posture.Proactive,
            threshold=1,
            within=after,
        ),
        actions=[ChangeFlowRunState(state=StateType.CRASHED, message="no sign of life")],
    ).create()
