"""What a retraining came to, in two words: the error that ended it says which."""

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


def outcome_of(error: Exception) -> str:
    """Its name on record; "failed" for what has none of its own."""
    if any(words in str(error) for words in FULL):
        return "disk full"
    return next((name for kind, name in OUTCOMES.items() if isinstance(error, kind)), "failed")
