"""Can a release be had? Its package and test samples: in the cache here, on the DVC remote."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finery.releases import data, git
from finery.releases.errors import NotDelivered, ReleaseError

NOT_FOUND = 404
LOCAL = "no DVC remote is set, so nobody else can fetch it; dvc remote add -d NAME URL, dvc push"


@dataclass(frozen=True)
class Part:
    """A file or folder of a release, and how many of its files are lacking where.

    Without a remote, `on_remote` is all of them; `anywhere` are lacking in both places.
    """

    path: str
    remote: str | None
    files: int
    in_cache: int
    on_remote: int
    anywhere: int


def parts(root: Path, commit: str, name: str) -> list[Part]:
    """What a release is made of. Raises `NotDelivered` if the DVC remote does not answer."""
    with _outs(root, commit, name) as outs:
        return [_part(path, out) for path, out in outs.items()]


def check_kept(root: Path, commit: str, name: str, sent: bool = True) -> None:
    """Raises `ReleaseError` if a release could not be fetched, or not be compared with the next.

    Where a DVC remote is set, it must have all of it; or, if that is not `sent` yet, be able to
    get it from here. Without one, DVC's cache here must have it.
    """
    for part in parts(root, commit, name):
        if part.anywhere:
            raise ReleaseError(f"{_nowhere(part)}; {_advice(root, commit, part)}")
        if sent and part.remote and part.on_remote:
            raise ReleaseError(
                f"{part.path}: {_count(part, part.on_remote)} not on the DVC remote {part.remote},"
                " where it is fetched from; `dvc push` sends it, and so does --push"
            )


def push(root: Path, commit: str, name: str) -> None:
    """Make sure that the DVC remote has a release, if one is set. Raises as `check_kept` does."""
    check_kept(root, commit, name, sent=False)
    lacking = [part.path for part in parts(root, commit, name) if part.remote and part.on_remote]
    if lacking:
        with data.opened(root) as repo, data.delivered(f"dvc push {' '.join(lacking)}", commit):
            repo.push(targets=lacking, revs=[commit], workspace=False)
        check_kept(root, commit, name)  # DVC only warns of what it could not send


def is_local(root: Path, commit: str, name: str) -> bool:
    """Whether no DVC remote is set for a release."""
    with _outs(root, commit, name) as outs:
        return not all(map(_remote, outs.values()))


def check_as_made(root: Path, path: str) -> None:
    """Raises `ReleaseError` if what the working tree has at `path` is not as dvc.lock says."""
    if _in_tree(root, path) == "changed":
        raise ReleaseError(
            f"{path}: changed since it was made; `dvc checkout --force {path}` brings back what"
            " dvc.lock says, `dvc repro` makes it anew"
        )


@contextmanager
def _outs(root: Path, commit: str, name: str) -> Iterator[dict[str, Any]]:
    """DVC's outputs that a release is made of, at its commit, by path."""
    paths = [data.package_path(root, commit, name), data.samples_path(root, commit, name)]
    with data.opened(root) as repo, repo.switch(commit):
        made = {_path(repo, out): out for out in repo.index.outs}
        if lost := [path for path in paths if path not in made]:
            raise ReleaseError(f"dvc.yaml: no stage makes {lost[0]} at commit {commit[:8]}")
        yield {path: made[path] for path in paths}


def _remote(out: Any) -> str | None:
    return out.remote or out.repo.config["core"].get("remote")


def _part(path: str, out: Any) -> Part:
    remote = _remote(out)
    with _answering(remote):
        stores = [out.cache]
        if remote:
            stores.append(out.repo.cloud.get_remote_odb(remote, hash_name=out.hash_name))
        files = _files(out, stores)
        lacking = [_lacking(store, files) for store in stores]
    everywhere = set.intersection(*lacking)
    on_remote = lacking[1] if remote else files
    return Part(path, remote, len(files), len(lacking[0]), len(on_remote), len(everywhere))


@contextmanager
def _answering(remote: str | None) -> Iterator[None]:
    """Each kind of remote fails in the words of its own library."""
    try:
        yield
    except Exception as error:
        said = (str(error).strip() or type(error).__name__).splitlines()[0]
        what = f"the DVC remote {remote}" if remote else "DVC's cache"
        raise NotDelivered(f"{what}: {said}; nothing was released: see to it, try again") from None


def _files(out: Any, stores: Sequence[Any]) -> set[str]:
    """The hashes of all that belongs to an output: a folder's listing is first of all a file."""
    from dvc_data.hashfile.tree import Tree

    listing = out.hash_info.value
    for store in stores:
        if out.hash_info.isdir and not _lacking(store, [listing]):
            tree = Tree.load(store, out.hash_info)
            return {listing, *(found.value for _, _, found in tree)}
    return {listing}


def _lacking(store: Any, hashes: Sequence[str] | set[str]) -> set[str]:
    """Which of them a store does not have; whatever else it answers is raised.

    DVC's own `exists` takes an answer such as "forbidden" for no.
    """
    paths = {store.oid_to_path(each): each for each in hashes}
    found = store.fs.info(list(paths), return_exceptions=True)
    lacking = set()
    for path, answer in zip(paths, found, strict=True):
        if _is_no(answer):
            lacking.add(paths[path])
        elif isinstance(answer, Exception):
            raise answer.__cause__ or answer
    return lacking


def _is_no(answer: Any) -> bool:
    """Not there; over HTTP, a server that is away gives the same error, from another one."""
    if not isinstance(answer, FileNotFoundError):
        return False
    return answer.__cause__ is None or getattr(answer.__cause__, "status", None) == NOT_FOUND


def _nowhere(part: Part) -> str:
    count = _count(part, part.anywhere)
    if part.remote:
        return (
            f"{part.path}: {count} neither in DVC's cache here nor on the DVC remote {part.remote}"
        )
    return f"{part.path}: {count} not in DVC's cache here, and no DVC remote is set"


def _count(part: Part, lacking: int) -> str:
    return "it is" if lacking == part.files else f"{lacking} of its {part.files} files are"


def _advice(root: Path, commit: str, part: Part) -> str:
    if commit != git.head(root):
        here = f"make it at commit {commit[:8]} (`dvc repro`)"
    elif _in_tree(root, part.path) == "as made":
        return f"the working tree has it: `dvc commit {part.path}`, and then `dvc push`"
    else:
        here = "make it here (`dvc repro`)"
    if part.remote:
        return f"`dvc push` it where it was made, or {here}"
    return f"{here}, or set the remote that has it: dvc remote add -d NAME URL, `dvc pull`"


def _in_tree(root: Path, path: str) -> str | None:
    """Whether the working tree has an output, and that "as made" or "changed"."""
    with data.opened(root) as repo:
        for out in repo.index.outs:
            if _path(repo, out) == path and out.exists:
                return "changed" if out.workspace_status() else "as made"
    return None


def _path(repo: Any, out: Any) -> str:
    return repo.fs.relpath(out.fs_path, repo.root_dir)
