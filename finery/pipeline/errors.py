"""What can be wrong with a project before anything in it is looked at, or with a run of it."""

from finery.errors import PipelineError, UserError


class ProjectError(UserError):
    """No project, or a stage that is not there."""


class UnreadableError(ProjectError):
    """DVC cannot read a file of the project; or only not yet, since a run is writing it."""


class BusyError(PipelineError):
    """Another run is under way in this checkout."""


class StoppedError(PipelineError):
    """The run was stopped before this could start."""


class StageError(PipelineError):
    """What a stage needs could not be brought to it, or what it made could not be kept."""
