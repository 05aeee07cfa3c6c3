"""Which files of a folder or a repository are the model, and how they get into an artefact."""

import hashlib
import os
import shutil
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from finery.lineage import LINEAGE
from finery.models.chat_template import MORE_TEMPLATES
from finery.models.legal import is_legal
from finery.sources.errors import SourceError

REVISIONS = Path("models/revisions.json")
"""Which commit each branch stood for when it was first downloaded."""
WEIGHTS = "*.safetensors"
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")
SETTINGS = ("*.json", "*.jinja", "*.model", "*.tiktoken", "vocab.txt", "merges.txt")
# Indices of weights that are left behind, and the record of the run that made a local model.
LEFT = ("*.bin.index.json", "*.msgpack.index.json", "*.h5.index.json", LINEAGE)


def model_files(source: str, names: Iterable[str], remote_code: bool) -> list[str]:
    """The names that make up the model, of all those in the folder of `source`.

    Only files at the top, since the folders of a repository hold other formats of the same
    weights; but also the folder in which transformers keeps more chat templates. Licences and
    notices come along, the README of its authors does not: it is not of our model. Python files
    come along only with `remote_code`. Raises `SourceError` if there is no configuration, or no
    weights in safetensors.
    """
    names = list(names)
    top = sorted(name for name in names if "/" not in name)
    # Beside model*.safetensors there may be the same weights once more, as consolidated*.
    weights = _matching(top, "model*.safetensors") or _matching(top, WEIGHTS)
    if not weights:
        raise SourceError(f"{source}: {_why_no_weights(top)}")
    if "config.json" not in top:
        raise SourceError(f"{source}: holds no config.json; name a whole model, not an adapter")
    settings = _matching(top, *SETTINGS, *(("*.py",) if remote_code else ()))
    templates = _matching(names, f"{MORE_TEMPLATES}/*.jinja")
    legal = filter(is_legal, top)
    return sorted({*weights, *settings, *templates, *legal} - set(_matching(top, *LEFT)))


def link(file: Path, target: Path) -> None:
    """Make `target` the same file as `file`, or a copy of it where the filesystem cannot."""
    real = file.resolve()
    target.parent.mkdir(exist_ok=True)
    try:
        os.link(real, target)
    except OSError:
        shutil.copyfile(real, target)


def sha256(file: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _why_no_weights(names: list[str]) -> str:
    if pickled := _matching(names, *PICKLED):
        return (
            f"holds only pickled weights ({pickled[0]}), which can run code when they are loaded;"
            " convert it to safetensors with save_pretrained, or choose a revision that has them"
        )
    return "holds no *.safetensors; choose a repository or revision with safetensors weights"


def _matching(names: Iterable[str], *patterns: str) -> list[str]:
    return [name for name in names if any(fnmatchcase(name, pattern) for pattern in patterns)]
