"""What can be wrong with a model to package, or with a package."""

from finery.errors import UserError


class PackageError(UserError):
    """A model cannot be packaged, or a folder is no package: the file, and what to do."""
