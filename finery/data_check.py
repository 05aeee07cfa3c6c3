"""`finery data check`: every row of some datasets, before any time is spent on them."""

from collections.abc import Iterable
from pathlib import Path

from finery.data.bad_rows import Tally
from finery.data.errors import DataError
from finery.data.reading import open_dataset


def check_datasets(
    dataset_dir: Path, names: Iterable[str], variables: dict[str, str] | None
) -> list[str]:
    """Read every row; print a line for each dataset that is good.

    Returns the problems: of each dataset at most the first twenty rows, and the total of each
    kind of fault.
    """
    problems = []
    for name in names:
        tally = Tally()
        try:
            dataset = open_dataset(dataset_dir, name, variables)
            good = sum(1 for _ in tally.add_all(dataset))
        except DataError as error:
            problems += [*tally.lines(), str(error)]
            continue
        problems += tally.lines()
        if not tally.total:
            print(f"{name}: {good} rows, {dataset.kind}: all good")
    return problems
