"""Do the methods of the training get datasets that they can learn from?"""

from collections.abc import Iterator
from pathlib import Path

from finery.data.datasets.dataset_info import find
from finery.data.errors import DataError
from finery.data.formats.kinds import WORDS
from finery.params.schema import Params


def wrong_kinds(params: Params) -> Iterator[str]:
    """A line for each dataset of a step that its method cannot use.

    Asks dataset_info.json alone. What it does not say is no problem here: prepare says it.
    """
    folder = Path(params.data.dataset_dir)
    for name, step in params.train.items():
        wanted = " or ".join(WORDS[kind] for kind in step.learns_from)
        for key in ("train", "eval_dataset"):
            for dataset in getattr(step.data, key):
                try:
                    kind = find(folder, dataset).kind
                except DataError:
                    continue
                if kind not in step.learns_from:
                    yield (
                        f"train.{name}.data.{key}: {dataset} holds {WORDS[kind]}, and"
                        f" {step.method} learns from {wanted}; name another dataset, or another"
                        f" train.{name}.method"
                    )
