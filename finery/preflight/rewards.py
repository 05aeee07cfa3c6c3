"""Are the reward functions there, and do they take what they are given?"""

from collections.abc import Iterator
from pathlib import Path

from finery.params.schema import Params
from finery.reward_functions import function_problem


def unfit_functions(params: Params) -> Iterator[str]:
    """A line for each function that grpo or rloo could not use; none of them is run."""
    folder = Path(params.data.dataset_dir)
    for name in params.train:
        data = params.data_of(name)
        for number, named in enumerate(data.reward_functions):
            if problem := function_problem(folder, named):
                yield f"{data.key('reward_functions')}.{number}: {problem}"
