"""Settings changed from the command line: `--set train.sft.tuner.rank=16` edits params.yaml."""

import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML
from ruamel.yaml.representer import RoundTripRepresenter

from finery.errors import UserError
from finery.params.schema import ParamsError, load

QUOTING = "; quote a text with signs in it: \"KEY='a, b'\""
ASSIGNMENT = re.compile(r"~[\w.]+$|\+{0,2}[\w.]+=")


def set_params(assignments: Sequence[str], path: Path = Path("params.yaml")) -> None:
    """Change settings of params.yaml; comments, order and the spelling of all else stay.

    Values are read as `dvc exp run --set-param` reads them (Hydra's override grammar). A key that
    the file leaves out may be set too, and `~KEY` takes one out. The outcome is validated whole:
    if it is wrong, a `UserError` says why and the file is as it was.
    """
    path = path.resolve() if path.is_symlink() else path
    load(path)
    settings = _yaml().load(path)
    edited = path.with_name(f".partial-{path.name}")
    try:
        shutil.copy(path, edited)
        for each in assignments:
            _override(edited, each)
        _update(settings, YAML(typ="safe").load(edited))
        _yaml().dump(settings, edited)
        _validate(edited)
        edited.replace(path)
    finally:
        edited.unlink(missing_ok=True)


def _override(file: Path, assignment: str) -> None:
    """Let DVC set one value; the keys are checked afterwards, by the schema."""
    if not ASSIGNMENT.match(assignment):
        raise UserError(f"--set {assignment}: write KEY=VALUE, such as train.sft.tuner.rank=16")
    try:
        apply_overrides(file, [assignment if assignment[0] in "+~" else f"++{assignment}"])
    except Exception as error:  # Hydra raises its own, OmegaConf's and Python's alike
        reason = str(error.__cause__ or error).splitlines()[0].replace("++", "")
        advice = "" if assignment[0] == "~" else QUOTING
        raise UserError(f"--set {assignment}: {reason}{advice}") from None


def _update(old: Any, new: Any) -> None:
    """Make `old` equal to `new`; what is equal already keeps its spelling (1.0e-3, [en], null)."""
    pairs = new.items() if isinstance(new, dict) else enumerate(new)
    for key, value in pairs:
        was = old[key] if isinstance(old, list) else old.get(key)
        if _alike(was, value):
            _update(was, value)
        elif was != value or isinstance(was, bool) != isinstance(value, bool):
            old[key] = value
    if isinstance(new, dict):
        for key in old.keys() - new.keys():
            del old[key]


def _alike(old: Any, new: Any) -> bool:
    both = (old, new)
    if all(isinstance(each, dict) for each in both):
        return True
    return all(isinstance(each, list) for each in both) and len(old) == len(new)


def _validate(edited: Path) -> None:
    try:
        load(edited)
    except ParamsError as error:
        where = re.compile(re.escape(str(edited)) + r"(:\d+)?")
        raise ParamsError([where.sub("--set", line, count=1) for line in error.problems]) from None


class _Representer(RoundTripRepresenter):
    """Writes null for nothing, as people do."""

    def represent_none(self, data: None) -> Any:
        return self.represent_scalar("tag:yaml.org,2002:null", "null")


_Representer.add_representer(type(None), _Representer.represent_none)


def _yaml() -> YAML:
    yaml = YAML()
    yaml.Representer = _Representer
    yaml.preserve_quotes = True
    yaml.default_flow_style = None  # a new list is written as [a, b]
    yaml.width = 4096
    yaml.indent(mapping=2, sequence=4, offset=2)
    return yaml
