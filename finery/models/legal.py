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
DOCUMENT = re.compile(
    r"(?:\.(?:txt|md|rst|pdf|html?|mit|apache|bsd|a?gpl|lgpl|lesser|\d+))?", re.IGNORECASE
)
"""What such a name may end in: a program reads .json, .py and the like."""


def is_legal(name: str) -> bool:
    """Whether a file of this bare name is a licence, a notice or a policy."""
    path = PurePosixPath(name)
    return bool(NAME.fullmatch(path.stem) and DOCUMENT.fullmatch(path.suffix))


def legal_files(folder: Path) -> Iterator[Path]:
    """The licences and notices at the top of a model folder, by name."""
    yield from (file for file in sorted(folder.iterdir()) if file.is_file() and is_legal(file.name))
