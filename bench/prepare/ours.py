"""The prepare stage as DVC starts it, timed; prints one line of JSON at its end.

    python ours.py ARGUMENTS_OF_THE_STAGE

Counted as processing is all that is done with rows: reading, checking, rendering, tokenizing,
masks, hashes, and writing them to the cache.
"""

import atexit
import json
import resource
import time
from typing import Any

import finery.data.tokens.making
import stages.prepare
from finery.stage.run import run

spent = {"seconds": 0.0, "cpu": 0.0}
plain_tokenized = finery.data.tokens.making.tokenized


def _cpu() -> float:
    own, children = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + children.ru_utime + children.ru_stime


def _timed(*args: Any) -> Any:
    wall, cpu = time.monotonic(), _cpu()
    try:
        return plain_tokenized(*args)
    finally:
        spent["seconds"] += time.monotonic() - wall
        spent["cpu"] += _cpu() - cpu


finery.data.tokens.making.tokenized = _timed
atexit.register(lambda: print(json.dumps(spent)))
run(stages.prepare.prepare)
