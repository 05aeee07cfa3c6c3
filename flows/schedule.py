"""Retraining by itself: on a schedule and on new data, one run at a time."""

from typing import Annotated

import typer
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.events import DeploymentEventTrigger

from flows.command_line import command_line
from flows.retrain import retrain
from flows.server import PORT, server

NEW_DATA = "finery.data.new"
"""The event that starts a run: prefect event emit finery.data.new --resource-id finery.data"""


def schedule(
    cron: Annotated[str, typer.Option(help="When: minute hour day month weekday.")] = "0 3 * * *",
) -> None:
    """Retrain on a schedule, and whenever new data is announced, until interrupted.

    A run that is due while another is under way waits for it.
    """
    with server(PORT) as page:
        emit = f"prefect event emit {NEW_DATA} --resource-id finery.data"
        print(f"watch: {page}\nnew data: PREFECT_API_URL={page}/api {emit}")
        retrain.serve(
            name="scheduled",
            cron=cron,
            limit=1,
            global_limit=ConcurrencyLimitConfig(
                limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE
            ),
            triggers=[DeploymentEventTrigger(name="On new data", expect={NEW_DATA})],
        )


if __name__ == "__main__":
    command_line(schedule, "schedule")
