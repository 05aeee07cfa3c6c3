"""Whether this is the root of a project, and its params.yaml is valid."""

from pathlib import Path

from finery.check.settings import check
from finery.doctor.finding import Finding, ok, problem
from finery.params.schema import Params, ParamsError, load

NAME = "settings"
FILE = Path("params.yaml")


def settings() -> tuple[Params | None, list[Finding]]:
    """params.yaml of the present folder, None if it cannot be read, and what is wrong with it."""
    try:
        return check(FILE), [ok(NAME, f"{FILE} is valid")]
    except ParamsError as error:
        advice = f"correct {FILE}; `finery check` looks at it again"
        return _loaded(), [problem(NAME, line, advice) for line in error.problems]
    except Exception as error:  # a file beside it that nobody foresaw, such as an odd model
        what = f"{FILE} cannot be checked ({type(error).__name__}: {error})"
        return None, [problem(NAME, what, "`finery check` says it in full")]


def is_project(folder: Path = Path()) -> bool:
    """Whether a folder is the root of a project."""
    return (folder / FILE).is_file() and (folder / "dvc.yaml").is_file()


def elsewhere() -> Finding:
    """What to say where no project is."""
    here = Path.cwd()
    if root := next(filter(is_project, here.parents), None):
        return problem(NAME, f"{here} is inside a project, not its root", f"cd {root}")
    what = f"{here} is no project: it needs {FILE} and dvc.yaml"
    return problem(NAME, what, "change to the folder of a Finery project")


def _loaded() -> Params | None:
    """Settings that are valid by themselves, only not beside the files around them."""
    try:
        return load(FILE)
    except ParamsError:
        return None
