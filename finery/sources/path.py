"""`path:DIR`: a model folder on this machine."""

from pathlib import Path

from finery.models.chat_template import MORE_TEMPLATES
from finery.sources.errors import SourceError
from finery.sources.files import link, model_files


def fetch(source: str, base: Path, *, remote_code: bool = False) -> dict[str, str]:
    """Hard-link the model in a folder into `base`; copy it if that is another filesystem.

    Returns what the lineage records. Raises `SourceError` if the folder is missing or holds no
    model in safetensors.
    """
    folder = Path(source.removeprefix("path:"))
    if not folder.is_dir():
        raise SourceError(f"{source}: no such folder; give model.source the path of a model folder")
    files = [*folder.iterdir(), *folder.glob(f"{MORE_TEMPLATES}/*")]
    names = [file.relative_to(folder).as_posix() for file in files if file.is_file()]
    for name in model_files(source, names, remote_code):
        link(folder / name, base / name)
    # Where a folder lies is a fact about this machine: the record keeps its name alone.
    return {"source": f"path:{folder.name}" if folder.is_absolute() else source}
