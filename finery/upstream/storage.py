"""The project's DVC storage, and data that DVC imported from elsewhere (`dvc import`, import-url).

DVC works in this process: nothing is left running if it is killed.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from finery.upstream.errors import RemoteError, UpstreamError

LOGGERS = ("dvc", "dvc_data", "dvc_objects")


def cache_folder(root: Path) -> Path:
    """Where the project keeps DVC's cache."""
    with _repo(root) as repo:
        return Path(repo.cache.local.path).parent.parent


def has_remote(root: Path) -> bool:
    """Whether the project has a DVC remote by default."""
    with _repo(root) as repo:
        return bool(_remote(repo))


def restore(root: Path) -> None:
    """Bring outputs and data into the working tree, from the remote what the cache lacks.

    What neither has is left out: stages make it. Raises `RemoteError`.
    """
    with _repo(root) as repo:
        if _remote(repo):
            with _answers("the DVC remote", RemoteError):
                repo.pull(force=True, allow_missing=True)
        else:
            repo.checkout(force=True, allow_missing=True)


def update_imports(root: Path) -> list[str]:
    """Fetch anew what DVC imported and its source has changed; what is new, a line each.

    Raises `UpstreamError` naming the import whose source does not answer.
    """
    with _repo(root) as repo:
        imports = [stage for stage in repo.index.stages if stage.is_import]
        return [line for stage in imports for line in _update(repo, stage)]


def push(root: Path) -> None:
    """Send to the DVC remote what it lacks; nothing without one. Raises `RemoteError`."""
    with _repo(root) as repo:
        if _remote(repo):
            with _answers("the DVC remote", RemoteError):
                repo.push()


def _update(repo: Any, stage: Any) -> Iterator[str]:
    before = {str(out): out.hash_info for out in stage.outs}
    with _answers(str(stage.deps[0])):
        (updated,) = repo.update(targets=[stage.addressing])
    for out in updated.outs:
        if out.hash_info != before[str(out)]:
            yield f"{out}: new at {updated.deps[0]}"


def _remote(repo: Any) -> str | None:
    return repo.config["core"].get("remote")


@contextmanager
def _repo(root: Path) -> Iterator[Any]:
    from dvc.repo import Repo

    for name in LOGGERS:  # of its warnings, those that matter come to an error here
        logging.getLogger(name).setLevel(logging.ERROR)
    with Repo(str(root)) as repo:
        yield repo


class _Said(logging.Handler):
    """What DVC logs: where its error only counts the files, the reason is here."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info and record.exc_info[1]
        words = f"{record.getMessage()}: {error}" if error else record.getMessage()
        self.lines.append(" ".join(words.split()))


@contextmanager
def _answers(
    what: str, kind: type[UpstreamError] | type[RemoteError] = UpstreamError
) -> Iterator[None]:
    """One line for whatever the other side says: each kind fails in words of its own library."""
    from dvc.dependency.base import DependencyDoesNotExistError

    said, loggers = _Said(), [logging.getLogger(name) for name in LOGGERS]
    others = [logger.handlers for logger in loggers]
    for logger in loggers:
        logger.handlers = [said]
    try:
        yield
    except DependencyDoesNotExistError:
        raise kind(f"{what}: does not answer, or is gone") from None
    except Exception as error:
        raise kind(f"{what}: {(said.lines or [_first_cause(error)])[0]}") from error
    finally:
        for logger, handlers in zip(loggers, others, strict=True):
            logger.handlers = handlers


def _first_cause(error: BaseException) -> str:
    while cause := error.__cause__ or error.__context__:
        error = cause
    return " ".join(str(error).split()) or type(error).__name__
