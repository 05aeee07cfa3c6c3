"""What a retraining came to, in two words: the error that ended it says which."""

import shutil
from pathlib import Path

from finery.data.errors import DataError
from finery.errors import PipelineError, UserError
from finery.params.schema import ParamsError
from finery.releases.errors import NotDelivered, NotPaired, WorseThanChampion
from finery.retraining.errors import NotPushed
from finery.upstream.errors import RemoteError, UpstreamError


class BadSettings(UserError):
    """`finery check` found something wrong."""


class BadData(PipelineError):
    """A row, a file or a folder of data cannot be used."""


class FailedGate(PipelineError):
    """A model misses a threshold of the gate."""


OUTCOMES = {
    UpstreamError: "upstream unreachable",
    RemoteError: "remote unreachable",
    ParamsError: "bad settings",
    BadSettings: "bad settings",
    DataError: "bad data",
    BadData: "bad data",
    FailedGate: "failed gate",
    WorseThanChampion: "worse",
    NotPaired: "not comparable",
    NotDelivered: "not delivered",
    NotPushed: "not delivered",
}
FULL = ("No space left on device", "Disk quota exceeded", "disk is full")
NO_ROOM = 64 * 1024
"""Bytes; with less, whatever failed failed for that, though git does not say so."""


def outcome_of(error: Exception, root: Path) -> tuple[str, str]:
    """What a run is called that ended with an error, and the reason; "failed" for any other."""
    reason = str(error) or type(error).__name__
    if any(words in reason for words in FULL):
        return "disk full", reason
    if shutil.disk_usage(root).free < NO_ROOM:
        return "disk full", f"{reason} (the disk is full)"
    kinds = (name for kind, name in OUTCOMES.items() if isinstance(error, kind))
    return next(kinds, "failed"), reason
