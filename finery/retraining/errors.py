"""What keeps a retraining from starting, and its result from where it belongs."""

from finery.errors import PipelineError, UserError


class AnotherRun(UserError):
    """A retraining is under way in this project already."""


class NotCommitted(UserError):
    """Git would not commit, or not take the commit into the project's repository."""


class NotPushed(PipelineError):
    """The git remote does not take the result."""
