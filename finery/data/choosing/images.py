"""The images of chosen samples, copied beside them."""

import shutil
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq

from finery.data.prepared import IMAGES
from finery.data.tokens.tokenized import Tokenized
from finery.models.pictures import FOLDER


def keep_images(made: Sequence[Tokenized], folder: Path) -> None:
    """Copy into `folder` the images that its Parquet files name; each once, whoever names it."""
    files = {name: file for each in made for name, file in each.images.items()}
    named: set[str] = set()
    for table in sorted(folder.glob("*.parquet")):
        if IMAGES in pq.read_schema(table).names:
            column = pq.read_table(table, columns=[IMAGES])[0]
            named.update(name for row in column.to_pylist() for name in row)
    for name in sorted(named):
        (folder / FOLDER).mkdir(exist_ok=True)
        shutil.copyfile(files[name], folder / FOLDER / name)
