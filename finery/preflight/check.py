"""`finery check`: params.yaml by itself, against the model, the datasets and git."""

from pathlib import Path

from finery import git
from finery.check.settings import check as check_settings
from finery.params.extras import missing
from finery.params.schema import Params, ParamsError, load
from finery.preflight.kinds import wrong_kinds
from finery.preflight.metrics import unfit_metrics
from finery.preflight.rewards import unfit_functions
from finery.preflight.rules import unmeasurable


def check(path: Path) -> Params:
    """Validate params.yaml against all that is there: a second, whatever the data's size.

    Raises `ParamsError` with every problem found, a line each.
    """
    params = load(path)
    problems = []
    try:
        check_settings(path)
    except ParamsError as error:
        problems += error.problems
    packages = (f"{each.key}.{said}" for each in params.train.values() for said in missing(each))
    found = [*packages, *wrong_kinds(params), *unfit_functions(params), *unfit_metrics(params)]
    found += unmeasurable(params)
    problems += [f"{path}: {problem}" for problem in found]
    try:
        git.head(Path())  # packages name it, and are not made where git refuses to
    except git.GitError as error:
        problems.append(str(error))
    if problems:
        raise ParamsError(problems)
    return params
