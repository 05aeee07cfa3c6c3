"""Which files of a repository are a split of a dataset."""

import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from finery.data.datasets.entries import Entry
from finery.data.errors import DataError
from finery.data.rows.files import TYPES

CARD = "README.md"
"""Where a repository says which of its files are which subset and split."""


def readable(names: Iterable[str]) -> list[str]:
    """The names that are data files, or the card that explains them."""
    return sorted(
        name
        for name in names
        if (name == CARD or PurePosixPath(name).suffix in TYPES)
        and ".." not in PurePosixPath(name).parts
        and not name.startswith("/")
    )


def split_files(source: str, names: Iterable[str], card: bytes, entry: Entry) -> list[str]:
    """The names, in their order, that hold the subset, folder and split of an entry.

    The rules are those of the datasets library, which is asked about empty files of these names:
    huggingface.co/docs/hub/datasets-data-files-configuration. Raises `DataError` if none do.
    """
    from datasets import load_dataset_builder

    with TemporaryDirectory() as place:
        root, cache = Path(place).resolve() / "files", Path(place) / "cache"
        for name in names:
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(card if name == CARD else b"")
        try:
            builder = load_dataset_builder(
                str(root), name=entry.subset, data_dir=entry.folder, cache_dir=str(cache)
            )
        except (ValueError, FileNotFoundError) as error:
            reason = re.sub(r"\s+", " ", str(error).replace(str(root), source))
            raise DataError(f"{source}: {reason}") from None
        splits = {str(split): files for split, files in (builder.config.data_files or {}).items()}
        if entry.split not in splits:
            raise DataError(
                f"{source}: no split {entry.split!r}; it has {', '.join(splits) or 'none'}"
            )
        return [str(Path(file).relative_to(root)) for file in splits[entry.split]]
