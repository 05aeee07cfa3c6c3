"""Which kinds of datasets go together."""

from collections.abc import Sequence

from finery.data.errors import DataError
from finery.data.formats.dataset import Dataset

SCHEMAS = {"text": "samples", "chat": "samples", "preference": "preference", "kto": "kto"}
WORDS = {
    "text": "plain texts", "chat": "conversations", "preference": "preferences (ranking)",
    "kto": "single verdicts (kto_tag)",
}  # fmt: skip


def trained_kind(datasets: Sequence[Dataset], where: str) -> str:
    """The schema of the samples to train on: `samples`, `preference` or `kto`.

    `where` is the key of the datasets in params.yaml.
    Raises `DataError` if two of the datasets cannot be trained on in one run.
    """
    first = datasets[0]
    for other in datasets[1:]:
        if SCHEMAS[other.kind] != SCHEMAS[first.kind]:
            raise DataError(
                f"{where}: {first.name} holds {WORDS[first.kind]}, {other.name}"
                f" {WORDS[other.kind]}; train and watch the loss on one kind at a time"
            )
    return SCHEMAS[first.kind]


def refuse_untestable(datasets: Sequence[Dataset]) -> None:
    """Raises `DataError` if there is a dataset that asks nothing with one right answer."""
    for dataset in datasets:
        if dataset.kind != "chat":
            raise DataError(
                f"data.test: {dataset.name} holds {WORDS[dataset.kind]}; test on conversations"
            )
