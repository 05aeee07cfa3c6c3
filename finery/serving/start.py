"""`finery serve`: from what the command line says to a server that answers."""

import asyncio
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from socket import AF_INET, AF_INET6, socket
from typing import Any

from finery.answering.files import read_text
from finery.answering.variants import Variant, variant
from finery.errors import UserError
from finery.serving.engines.choice import Wanted, chosen, started

KEY = "FINERY_API_KEY"
"""The environment variable that a key may be in."""
MIB = 2**20
GOODBYE = 10
"""Seconds that running answers have when the server is stopped."""


class UsageError(UserError):
    """What is asked for does not go together."""


@dataclass(frozen=True)
class Options:
    """What the command line says, by its names."""

    variant: str = "merged"
    host: str = "127.0.0.1"
    port: int = 8000
    name: str | None = None
    queue: int = 64
    time_limit: float = 600
    body_limit: int = 8
    """MiB."""
    api_key_file: Path | None = None
    cors_origin: Sequence[str] = field(default_factory=list)
    follow: bool = False
    every: float = 30
    wanted: Wanted = field(default_factory=Wanted)


def start(options: Options, fetched: Callable[[str], Path]) -> None:
    """Serve until somebody stops it; what can be wrong is found before a model loads."""
    from finery.serving.door.guard import Rules

    keys = read_keys(options.api_key_file, os.environ)
    if not (keys or is_loopback(options.host)):
        raise UsageError(
            f"--host {options.host}: others reach it, so it takes an API key; put one in a file"
            f" and name that by --api-key-file, or in {KEY}"
        )
    if options.follow and ("@" not in options.variant or Path(options.variant).is_dir()):
        raise UsageError(f"--follow: {options.variant} is no NAME@STAGE of a release")
    rules = Rules(keys, options.cors_origin, options.body_limit * MIB)
    found = variant(options.variant, fetched)
    chosen(options.wanted, found)
    with listening(options.host, options.port) as place, suppress(KeyboardInterrupt):
        asyncio.run(_serve(options, rules, found, place, fetched))


async def served(options: Options, found: Variant, meters: Any) -> Any:
    """A variant with the engine that computes it, which answers."""
    from finery.serving.served import Served
    from finery.serving.wording import Wording

    engine = chosen(options.wanted, found)
    tokenizer, computing = await started(options.wanted, engine, found, _say)
    name = options.name or _name(options.variant)
    wording = Wording(found.folder, tokenizer, found.adapter)
    return Served(name, wording, computing, options.queue, meters)


def read_keys(file: Path | None, environment: Any) -> list[str]:
    """The API keys that are good, a line of a file each. Raises `UsageError` if it has none."""
    if file is None:
        return [key] if (key := environment.get(KEY, "").strip()) else []
    keys = [line.strip() for line in read_text(file).splitlines() if line.strip()]
    if not keys:
        raise UsageError(f"{file}: no key; write one on a line")
    return keys


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches what listens there."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def listening(host: str, port: int) -> socket:
    """A socket that listens. Raises `UsageError` if it cannot."""
    import socket as sockets

    place = socket(AF_INET6 if ":" in host else AF_INET)
    place.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
    try:
        place.bind((host, port))
        place.listen(128)
    except OSError as error:
        place.close()
        said = os.strerror(error.errno) if error.errno and error.errno > 0 else str(error)
        raise UsageError(f"{host}:{port}: {said}; choose another with --host, --port") from None
    return place


async def _serve(
    options: Options,
    rules: Any,
    found: Variant,
    place: socket,
    fetched: Callable[[str], Path],
) -> None:
    import uvicorn

    from finery.serving.door.meters import Meters
    from finery.serving.front import Front, api

    _say(f"{found.where} ...")
    first = await served(options, found, Meters())
    front = Front(first, options.time_limit)
    config = uvicorn.Config(
        api(front, rules),
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_keep_alive=75,  # longer than those of clients, who else meet closed connections
        timeout_graceful_shutdown=GOODBYE,
    )
    host, port = place.getsockname()[:2]
    host = f"[{host}]" if ":" in host else host
    says = f"{first.name} by {first.engine.name}: http://{host}:{port}/v1"
    _say(says)
    following = asyncio.create_task(_follow(options, front, fetched)) if options.follow else None
    await uvicorn.Server(config).serve(sockets=[place])
    if following:
        following.cancel()


async def _follow(options: Options, front: Any, fetched: Callable[[str], Path]) -> None:
    from finery.serving.following import follow

    async def make() -> Any:
        found = await asyncio.to_thread(variant, options.variant, fetched)
        return await served(options, found, front.meters)

    await follow(front, lambda: fetched(options.variant), make, options.every, _say)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _name(variant: str) -> str:
    """What the API calls it: of a folder its last part."""
    return Path(variant).resolve().name if Path(variant).is_dir() else variant
