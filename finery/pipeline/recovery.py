"""What a kill left behind in a project, healed before the next run.

DVC frees the locks of a dead process by itself, and a stage removes what it half wrote when it
starts again. Not so a file of DVC's own that was cut off while being written, the lock of a
process whose number was given to another, and files that nothing will write again.
"""

import fcntl
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from dvc.dvcfile import Lockfile
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.utils.serialize import EncodingError
from dvc.utils.strictyaml import YAMLSyntaxError, YAMLValidationError

from finery.git import git, head
from finery.pipeline.file_locks import free
from finery.stage.outputs import partial, remove
from finery.stage.resume import forget_committed

PROJECT_LOCK = Path(".dvc/tmp/lock")
WORK = Path(".finery/work")
CUT_OFF = Path(".finery/dvc.lock.cut-off")
DVC_TEMPORARY = re.compile(r"\.[\w-]{22}\.tmp")
"""dvc_objects.fs.utils.tmp_fname"""


def recover(root: Path = Path()) -> list[str]:
    """Heal what a kill left behind; a line for each thing healed.

    While another DVC is at work in the project, nothing is touched that could be its own.
    """
    if not (root / ".dvc").is_dir():
        return []
    with _no_other_dvc(root) as alone:
        if not alone:
            return []
        healed, in_use = free(root)
        if in_use:
            return healed
        healed += _dvc_lock(root)
        with suppress(DvcException), Repo(str(root)) as repo:  # who runs the project reports it
            healed += _left_overs(repo)
        forget_committed(root)
    return healed


@contextmanager
def _no_other_dvc(root: Path) -> Iterator[bool]:
    """Hold the lock under which DVC writes its files, unless another does now (dvc/lock.py)."""
    path = root / PROJECT_LOCK
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True


def _dvc_lock(root: Path) -> list[str]:
    """DVC writes dvc.lock in place: cut off, it stops every run. The run cache has it all too."""
    path = root / "dvc.lock"
    if not path.exists() or _is_read(path) or "<<<<<<<" in path.read_text(errors="replace"):
        return []
    (root / CUT_OFF).parent.mkdir(exist_ok=True)
    shutil.copyfile(path, root / CUT_OFF)
    committed = _committed(root)
    path.unlink()
    if committed is not None:
        path.write_text(committed, encoding="utf-8")
    source = "the last commit's is back" if path.exists() else "removed"
    return [f"dvc.lock: was cut off by a kill; {source}, DVC restores the rest from its cache"]


def _committed(root: Path) -> str | None:
    """The last commit's dvc.lock, if any. Raises `GitError`; then nothing is removed."""
    if not head(root) or not git(root, "ls-tree", "--name-only", "HEAD", "--", "dvc.lock"):
        return None
    return git(root, "cat-file", "blob", "HEAD:./dvc.lock")


def _is_read(path: Path) -> bool:
    try:
        with Repo(str(path.parent)) as repo:
            Lockfile(repo, str(path)).load()
    except (YAMLSyntaxError, YAMLValidationError, EncodingError):
        return False
    except DvcException:
        pass
    return True


def _left_overs(repo: Repo) -> list[str]:
    """Outputs half written, files by which DVC tries out links beside them, working copies."""
    outputs = [Path(out.fs_path) for out in repo.index.outs if out.is_in_repo]
    found = [*map(partial, outputs), *Path(repo.root_dir, WORK).glob("*")]
    for folder in {path.parent for path in outputs}:
        found += [path for path in folder.glob(".*.tmp") if DVC_TEMPORARY.fullmatch(path.name)]
    found = [path for path in found if path.exists()]
    remove(found)
    names = sorted(path.relative_to(repo.root_dir).as_posix() for path in found)
    return [f"{name}: left by a run that was killed; removed" for name in names]
