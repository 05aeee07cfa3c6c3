"""Files that are not what their names say, known by their first bytes."""

import re
from pathlib import Path

from finery.data.errors import DataError

PACKED = "is packed with {}; unpack it"
KNOWN = [
    (rb"\x1f\x8b", PACKED.format("gzip"), ()),
    (rb"\x28\xb5\x2f\xfd", PACKED.format("zstd"), ()),
    (rb"BZh[1-9]1AY&SY", PACKED.format("bzip2"), ()),
    (rb"\xfd7zXZ\0", PACKED.format("xz"), ()),
    (rb"PK\x03\x04", "is a ZIP archive or an Office document; unpack or export it", ()),
    (rb"version https://git-lfs\.", "is a pointer of Git LFS; run `git lfs pull`", ()),
    (rb"(?i)\s*<(!doctype|html)\b", "is a web page; download the file itself", (".txt",)),
    (rb"PAR1", "is Parquet; name it .parquet", (".parquet",)),
    (rb"ARROW1\0", "is Arrow; name it .arrow", (".arrow",)),
]
"""What a file begins with, what it then is, and the suffixes of which that is right."""
LONGEST = 64


def refuse_disguised(file: Path) -> None:
    """Raises `DataError` if a file of rows is plainly something else."""
    with file.open("rb") as stream:
        start = stream.read(LONGEST)
    for beginning, problem, right in KNOWN:
        if file.suffix not in right and re.match(beginning, start):
            raise DataError(f"{file}: {problem}")
