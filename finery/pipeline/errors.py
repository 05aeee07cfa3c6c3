"""What can be wrong with a project before anything in it is looked at."""

from finery.errors import UserError


class ProjectError(UserError):
    """No project, or a stage that is not there."""


class UnreadableError(ProjectError):
    """DVC cannot read a file of the project; or only not yet, since a run is writing it."""
