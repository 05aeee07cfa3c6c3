"""What stops a release."""

from finery.errors import PipelineError, UserError


class ReleaseError(UserError):
    """What was asked for cannot be released, rolled back or fetched as things stand."""


class NotPaired(ReleaseError):
    """Two models were not scored on the same test samples, or not by the same rules."""


class WorseThanChampion(PipelineError):
    """The candidate is worse than the version in service, which stays there."""


class NotDelivered(PipelineError):
    """A remote did not take or give what it should; nothing was released."""
