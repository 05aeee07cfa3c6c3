"""Whether the artefacts fit on the disk, and how DVC links them to its cache."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

from finery.doctor.dvc import cache_folder, config
from finery.doctor.finding import Finding, note, ok, problem
from finery.doctor.model_size import ModelSize, model_size
from finery.params.quantize import GGUF_BITS
from finery.params.schema import Params

GB = 10**9
FEW_INODES = 1000
ROOM_TO_WORK = 5 * GB
"""Free space worth a note while the model's size is unknown."""
DTYPE_BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}
GROUP = {"auto": 32, -1: 1024}
"""About how many weights share a scale where the settings do not say."""
FREE_IT = "make room, or free DVC's old artefacts: `dvc gc --workspace`"


def disk(params: Params) -> Iterator[Finding]:
    """Space and inodes for what is still to be made; the link between DVC's cache and here."""
    cache = cache_folder()
    link, findings = _link(cache)
    yield from findings
    yield from _space(params, cache, copies=2 if link == "copy" and _same_disk(cache) else 1)
    left = os.statvfs(".")
    if left.f_files and left.f_favail < FEW_INODES:
        advice = "remove directories with many small files; `df -i` tells of which file system"
        yield problem("disk", f"{left.f_favail} inodes are left for new files", advice)


def artefact_bytes(size: ModelSize, params: Params) -> dict[str, int]:
    """About how large each folder in models/ gets, in bytes.

    What a step has trained is kept in float32: a small adapter, or the weights of the model.
    Quantized: the linear layers in their bits plus a scale and a zero (4 bytes) a group; the rest
    in half precision. Packages hold links.
    """
    merged = size.parameters * DTYPE_BYTES[params.merge.dtype]
    sizes = {"base": size.stored} | dict.fromkeys(params.train, merged)
    sizes |= {f"adapters/{step}": weights * 4 for step, weights in size.trained.items()}
    inside = sum(rows * columns for rows, columns in size.linears)
    for name in params.quantize.formats:
        chosen = getattr(params.quantize, name)
        if name == "gguf":
            sizes[name] = int(size.parameters * GGUF_BITS[chosen.type] / 8)
            continue
        group = GROUP.get(chosen.group_size, chosen.group_size)
        packed = inside * chosen.bits // 8 + inside * 4 // group
        sizes[name] = packed + (size.parameters - inside) * 2
    return sizes


def _space(params: Params, cache: Path, copies: int) -> Iterator[Finding]:
    free = shutil.disk_usage(".").free
    size = model_size(params)
    if size is None:
        what = f"{free / GB:.1f} GB free; the pipeline's need is known once the model is downloaded"
        yield ok("disk", what) if free > ROOM_TO_WORK else note("disk", what, FREE_IT)
        return
    sizes = artefact_bytes(size, params)
    missing = sum(each for name, each in sizes.items() if not Path("models", name).exists())
    again = sum(each for name, each in sizes.items() if name != "base")
    work = size.parameters * 2  # GPTQModel's copy of the model while it quantizes
    need, retrain = missing * copies + work, again * copies + work
    what = f"{free / GB:.1f} GB free"
    if need > free:
        yield problem("disk", f"{what}; the run needs about {need / GB:.1f} GB more", FREE_IT)
    elif retrain > free:
        yield note("disk", f"{what}; another training needs about {retrain / GB:.1f} GB", FREE_IT)
    else:
        yield ok("disk", f"{what}; the run needs about {need / GB:.1f} GB more")
    if not _same_disk(cache) and shutil.disk_usage(_existing(cache)).free < missing:
        what = f"the disk of DVC's cache ({cache}) has too little room for the artefacts"
        yield problem("disk", what, FREE_IT)


def _link(cache: Path) -> tuple[str, list[Finding]]:
    """The first of the configured link types that works from DVC's cache to models/."""
    wanted = config().get("cache", {}).get("type") or ["reflink", "copy"]
    here = Path("models") if Path("models").is_dir() else Path()
    try:
        with (
            TemporaryDirectory(prefix=".partial-", dir=_existing(cache)) as there,
            TemporaryDirectory(prefix=".partial-", dir=here) as target,
        ):
            link = _first_that_works(wanted, Path(there, "file"), Path(target, "link"))
    except OSError as error:
        place = error.filename or cache
        advice = "make it writable for you: chown it, or choose another with `dvc cache dir`"
        return "copy", [problem("disk", f"cannot write to {place} ({error.strerror})", advice)]
    if link != "copy":
        return link, [ok("DVC cache", f"{link} from {cache} to models/: artefacts are stored once")]
    why = f"cache.type is {','.join(wanted)}, of which nothing else works"
    if not _same_disk(cache):
        why = f"{cache} is on another disk"
    what = f"artefacts are copied from DVC's cache, so stored twice: {why}"
    advice = "dvc config cache.type hardlink,symlink,copy, with the cache (`dvc cache dir`) here"
    return link, [note("DVC cache", what, advice)]


def _first_that_works(wanted: list[str], file: Path, link: Path) -> str:
    from dvc_objects.fs.system import reflink

    file.write_bytes(b"x")
    make = {"reflink": reflink, "hardlink": os.link, "symlink": os.symlink}
    for name in wanted:
        try:
            make[name](file, link)
            return name
        except (KeyError, OSError, NotImplementedError):
            continue
    return "copy"


def _same_disk(cache: Path) -> bool:
    return _existing(cache).stat().st_dev == Path().stat().st_dev


def _existing(path: Path) -> Path:
    """The folder itself, or the first above it that is there."""
    while not path.is_dir():
        path = path.parent
    return path
