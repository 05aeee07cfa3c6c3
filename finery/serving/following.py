"""Serve what a release stage holds: a newly promoted model is loaded beside, then takes over."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from finery.errors import PipelineError, UserError
from finery.serving.front import Front
from finery.serving.served import Served


async def follow(
    front: Front,
    current: Callable[[], Path],
    make: Callable[[], Awaitable[Served]],
    every: float,
    say: Callable[[str], None],
) -> None:
    """Look `every` so many seconds which folder is `current`, and serve what `make` makes of it.

    What is asked of the old model is answered by it. One that cannot be loaded, or a registry that
    does not answer, is said, and changes nothing.
    """
    folder = front.served.folder
    leaving: set[asyncio.Task[None]] = set()
    while True:
        await asyncio.sleep(every)
        try:
            found = await asyncio.to_thread(current)
            if found == folder:
                continue
            served = await make()
        except (UserError, PipelineError) as error:
            say(f"{error}; {folder} stays")
            continue
        folder = served.folder
        say(f"{folder}: takes over")
        task = asyncio.create_task(front.change(served))
        leaving.add(task)
        task.add_done_callback(leaving.discard)
