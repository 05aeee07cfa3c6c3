"""Which commit of a hub a branch stood for when it was resolved: JSON files that git tracks."""

import json
import os
from pathlib import Path

from finery.errors import UserError


def pinned(source: str, file: Path) -> str | None:
    """The revision `source` was resolved to; None if it never was."""
    return _read(file).get(source)


def pin(source: str, revision: str, file: Path) -> None:
    """Write down what `source` was resolved to, for every later run."""
    text = json.dumps({**_read(file), source: revision}, indent=2, sort_keys=True)
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(".partial-" + file.name)
    partial.write_text(text + "\n", encoding="utf-8")
    os.replace(partial, file)


def _read(file: Path) -> dict[str, str]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"{file}: not JSON ({error}); restore it from git") from None
