"""Retraining by itself: on a schedule and on new data, one run at a time."""

import asyncio
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import typer
from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
from prefect.events import DeploymentEventTrigger
from prefect.schedules import Cron, Schedule
from prefect.server.schemas.schedules import CronSchedule
from tzlocal import get_localzone

from finery.errors import UserError
from finery.upstream.branch import branch_of
from flows.command_line import command_line
from flows.retrain import retrain
from flows.server import PORT, server

NEW_DATA = "finery.data.new"
"""The event that starts a run: prefect event emit finery.data.new --resource-id finery.data"""

FIELDS = 5
FORM = 'give minute, hour, day, month and weekday, as in "0 3 * * *"'


def schedule(
    cron: Annotated[str, typer.Option(help="When: minute hour day month weekday.")] = "0 3 * * *",
    timezone: Annotated[
        str | None, typer.Option(help="Where, as Asia/Shanghai; by default this machine's.")
    ] = None,
) -> None:
    """Retrain on a schedule, and whenever new data is announced, until interrupted.

    A run that is due while another is under way waits for it.
    """
    nightly = when(cron, timezone)
    branch_of(Path())
    with server(PORT) as page:
        emit = f"prefect event emit {NEW_DATA} --resource-id finery.data"
        print(f"watch: {page}\nnext run: {_next(nightly)}, {nightly.timezone}")
        print(f"new data: PREFECT_API_URL={page}/api {emit}", flush=True)
        retrain.serve(
            name="scheduled",
            schedule=nightly,
            limit=1,
            global_limit=ConcurrencyLimitConfig(
                limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE
            ),
            triggers=[DeploymentEventTrigger(name="On new data", expect={NEW_DATA})],
        )


def when(cron: str, timezone: str | None = None) -> Schedule:
    """The schedule in a time zone, by default that of this machine. Raises `UserError`."""
    try:
        zone = timezone or str(get_localzone())
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        wrong = f"{timezone}: no such time zone" if timezone else "this machine's has no name"
        raise UserError(f"--timezone: {wrong}; give one as Asia/Shanghai or UTC") from None
    if len(cron.split()) != FIELDS:
        raise UserError(f"--cron: {cron!r} is not five fields (no seconds, no nicknames); {FORM}")
    try:
        found = Cron(cron, timezone=zone)
    except ValueError:
        raise UserError(f"--cron: {cron!r} is no schedule; {FORM}") from None
    try:
        _next(found)
    except ValueError:
        raise UserError(f"--cron: {cron!r} never comes; {FORM}") from None
    return found


def _next(nightly: Schedule) -> str:
    """When the next run is. Raises `ValueError` if there is no such day, as 31 February."""
    times = CronSchedule(cron=nightly.cron, timezone=nightly.timezone).get_dates(1)
    return f"{asyncio.run(times)[0]:%Y-%m-%d %H:%M}"


if __name__ == "__main__":
    command_line(schedule, "schedule")
