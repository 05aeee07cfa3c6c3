"""The errors a user can act on; every area derives its own from these."""


class UserError(Exception):
    """Bad input: the message is one line that says what, where and what to do. Exit status 2."""

    exit_status = 2


class PipelineError(UserError):
    """The input was fine, the outcome is not (a failed gate, a full disk). Exit status 1."""

    exit_status = 1
