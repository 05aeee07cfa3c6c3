"""Whether this is the root of a project, and its params.yaml is valid."""

from pathlib import Path

from finery.check import check
from finery.doctor.finding import Finding, ok, problem
from finery.params.schema import Params, ParamsError

NAME = "settings"
FILE = Path("params.yaml")


def settings() -> tuple[Params | None, list[Finding]]:
    """params.yaml of the present folder, or None, and what is wrong with it."""
    if not FILE.is_file() or not Path("dvc.yaml").is_file():
        return None, [_elsewhere()]
    try:
        return check(FILE), [ok(NAME, f"{FILE} is valid")]
    except ParamsError as error:
        advice = f"correct {FILE}; `finery check` looks at it again"
        return None, [problem(NAME, line, advice) for line in error.problems]
    except (OSError, ValueError) as error:
        return None, [problem(NAME, f"{FILE} cannot be read ({error})", "make it readable")]


def _elsewhere() -> Finding:
    here = Path.cwd()
    for folder in here.parents:
        if (folder / FILE).is_file() and (folder / "dvc.yaml").is_file():
            return problem(NAME, f"{here} is inside a project, not its root", f"cd {folder}")
    what = f"{here} is no project: it needs {FILE} and dvc.yaml"
    return problem(NAME, what, "change to the folder of a Finery project")
