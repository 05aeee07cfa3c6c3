"""Licences and notices that come with a model: they go along with all that is made from it.

They are told by their names, as hubs have them: LICENSE, LICENCE.txt, NOTICE.md, Notice.txt,
USE_POLICY.md, COPYING, MODEL_LICENSE, LICENSE-2.0.txt, "Community License for X Model.pdf",
模型许可协议.pdf. A README is another model's description, and stays behind.
"""

import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

WORDS = (
    "licen[cs]es?|notices?|copying|copyright|authors|patents|terms|eula"
    "|us(?:e|age)[-_ ]?polic(?:y|ies)|许可"
)
NAME = re.compile(rf"(?:.*[^a-z])?(?:{WORDS})(?:[^a-z].*)?", re.IGNORECASE)
DOCUMENT = {"", ".txt", ".md", ".rst", ".pdf", ".html", ".htm"}
BARE = re.compile(rf"(?:{WORDS})\.[^.]+", re.IGNORECASE)
"""LICENSE.llama, COPYING.LESSER: the ending says whose."""
DATA = {
    *(".json", ".jinja", ".py", ".model", ".tiktoken", ".safetensors", ".gguf", ".onnx", ".h5"),
    *(".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz", ".msgpack"),
    *(".zip", ".docx", ".odt", ".so", ".sh"),
}
"""What programs read, and what may be a pickle in a zip."""


def is_legal(name: str) -> bool:
    """Whether a file of this bare name is a licence, a notice or a policy."""
    path = PurePosixPath(name)
    ending = path.suffix.lower()
    if ending in DOCUMENT or ending[1:].isdigit():
        return bool(NAME.fullmatch(path.stem))
    return bool(BARE.fullmatch(name)) and ending not in DATA


def legal_files(folder: Path) -> Iterator[Path]:
    """The licences and notices at the top of a model folder, by name."""
    yield from (file for file in sorted(folder.iterdir()) if file.is_file() and is_legal(file.name))
