"""A released package, on a machine that never trained it."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from finery.git import check_root, reason, run
from finery.releases import data, git
from finery.releases.errors import NotDelivered, ReleaseError
from finery.releases.git import PURPOSE, SECONDS
from finery.releases.registry import Release, find, registered
from finery.releases.tags import bring_or_say, events

HERE = "."
SIGNATURE = ".sig"
KEPT = Path(".finery/releases")
"""Where releases are that were only looked at."""


def fetch(
    source: str,
    wanted: str,
    out: Path | None,
    verify: Callable[[Path], list[str]],
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Release, Path]:
    """Bring a released package here; returns the release and its folder (default: its name).

    `source` is the URL or folder of a project's git repository, `wanted` is NAME@prod or
    NAME@v1.2.0, `verify` says what is wrong with a package. The folder appears whole and
    verified, or not at all; beside it its signature, if the release's commit has one. In a clone
    (`.`), the releases that its remote has count too; `say` takes the line if that does not
    answer. Raises `ReleaseError` for an unknown source, name,
    stage or version and for a folder that exists, `NotDelivered` if the package does not arrive as
    it was made.
    """
    name, _, which = wanted.partition("@")
    if not name or not which:
        raise ReleaseError(f"{wanted}: say which one, such as merged@prod or merged@v1.2.0")
    folder = Path(name) if out is None else out
    if folder.exists() or folder.is_symlink():
        raise ReleaseError(f"{folder}: exists already; remove it or choose another with --out")
    with _opened(source) as repo:
        root = Path(repo.scm.root_dir)
        if source == HERE:
            bring_or_say(root, name, say)
        release = find(registered(events(root)), name, which)
        path = data.package_path(root, release.commit, name)

        def check(package: Path) -> None:
            if problems := verify(package):
                raise NotDelivered(
                    f"{name} {release.version}: {problems[0]} ({len(problems)} wrong): damaged on"
                    " the DVC remote or on the way; nothing was kept"
                )

        data.download(repo, release.commit, path, folder, check)
        if signature := git.read(root, release.commit, f"{path}{SIGNATURE}"):
            folder.with_name(f"{folder.name}{SIGNATURE}").write_text(signature, encoding="utf-8")
    return release, folder


def brought(
    root: Path, wanted: str, verify: Callable[[Path], list[str]], say: Callable[[str], None]
) -> Path:
    """The folder of a release of the project in `root`: fetched once a version, then kept.

    Raises what `fetch` does.
    """
    name, _, which = wanted.partition("@")
    if not name or not which:
        raise ReleaseError(f"{wanted}: say which one, such as merged@prod or merged@v1.2.0")
    git.head(root)
    bring_or_say(root, name, say)
    release = find(registered(events(root)), name, which)
    folder = root / KEPT / f"{name}-{release.version}"
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        say(f"{name} {release.version}: fetching")
        fetch(str(root), f"{name}@{release.version}", folder, verify, say)
    return folder


@contextmanager
def _opened(source: str) -> Iterator[Any]:
    from dvc.repo import Repo
    from scmrepo.git import Git

    if Path(source, "dvc.yaml").exists():  # a working tree, of which git says more than DVC
        check_root(Path(source), PURPOSE)
    try:
        repo = Repo.open(source)
    except Exception as error:  # git, ssh and http each fail in words of their own
        said = _refusal(source) or (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ReleaseError(
            f"{source}: {said}; give the URL or folder of a project in git and DVC"
        ) from None
    with repo:
        if not isinstance(repo.scm, Git):
            raise ReleaseError(f"{source}: not a git repository; releases are git tags")
        # no links into a cache: a package that was fetched is its owner's own, to move and to edit
        repo.cache.local.cache_types = ["reflink", "copy"]
        yield repo


def _refusal(source: str) -> str | None:
    """Why git does not get at a repository, which DVC leaves out; None if it does."""
    done = run(Path(), "ls-remote", "--quiet", "--", source, "HEAD", seconds=SECONDS)
    return reason(done.stderr) if done.returncode else None
