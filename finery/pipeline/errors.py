"""What can be wrong with a project before anything in it is looked at."""

from finery.errors import UserError


class ProjectError(UserError):
    """No project, a dvc.yaml or dvc.lock that DVC cannot read, or a stage that is not there."""
