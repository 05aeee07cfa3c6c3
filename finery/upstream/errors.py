"""What can be wrong on the other side."""

from finery.errors import PipelineError, UserError


class UpstreamError(PipelineError):
    """A source of data does not answer, or no longer has what it had."""


class MergeConflict(UserError):
    """A branch and its upstream changed the same lines."""


class RemoteError(PipelineError):
    """The project's own DVC remote does not answer, or does not take what it is sent."""
