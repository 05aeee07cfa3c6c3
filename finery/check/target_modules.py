"""Whether a tuner's target_modules names layers of the model, and layers that can be merged."""

from difflib import get_close_matches

from finery.check.facts import INPUT, OUTPUT, Model
from finery.models.layer_widths import linears

FUSED = {"experts", "gate_up_proj", "down_proj"}
"""Where transformers puts the experts of a checkpoint that has them one by one."""


def target_problems(model: Model, targets: str | list[str]) -> list[str]:
    """A line for each target that is no layer of the model, or one that a merge cannot keep apart.

    PEFT passes over a name that matches nothing as long as another does. It matches whole names
    and their last parts, as is done here; a checkpoint may lack the first part of a name.
    """
    if isinstance(targets, str) or not model.tensors:
        return []
    names = {name.rpartition(".")[0] for name in model.tensors}
    found = [_problem(model, target, names, layers_of(model)) for target in targets]
    return [problem for problem in found if problem]


def layers_of(model: Model) -> set[str]:
    """The names of the linear layers, and of the tables at both ends."""
    layers = {name.rpartition(".")[0] for name, t in model.tensors.items() if len(t["shape"]) == 2}
    return layers | ({"lm_head"} if model.tied else set())


def shares_a_table(model: Model, target: str) -> bool:
    """Whether a name is of an end of the model whose table is that of the other end, too."""
    tables = {name for name in layers_of(model) & {*model.embeddings, "lm_head"}}
    return model.tied and any(matches(name, target) for name in tables)


def matches(name: str, target: str) -> bool:
    """Whether PEFT takes the module `name` for `target`, in part or whole.

    A checkpoint may lack the first part of a name.
    """
    return name == target or name.endswith(f".{target}") or target.endswith(f".{name}")


def _problem(model: Model, target: str, names: set[str], layers: set[str]) -> str | None:
    matched = {name for name in layers if matches(name, target)}
    if shares_a_table(model, target):
        return (
            f"{target} shares one table with the other end of {model.folder} (tied embeddings), and"
            f" a merge would change both; leave it out; there are {_choices(model)}"
        )
    if matched:
        return None
    experts = any(".experts." in name for name in model.tensors)
    if experts and target.rpartition(".")[2] in FUSED:
        return None
    what = "is no linear layer" if _is_part(names, target) else "matches no layer"
    near = get_close_matches(target, _last_parts(layers - _tables(model)), n=2)
    meant = f"did you mean {' or '.join(near)}?" if near else f"there are {_choices(model)}"
    return f"{target} {what} of {model.folder}; {meant}"


def _is_part(names: set[str], target: str) -> bool:
    return any(f".{target}." in f".{name}." for name in names)


def _tables(model: Model) -> set[str]:
    return {*model.embeddings, *INPUT, *OUTPUT}


def _choices(model: Model) -> str:
    """The linear layers of the blocks by their last names."""
    names = _last_parts(set(linears(model.tensors)))
    return f"{', '.join(names[:12])}, or all-linear"


def _last_parts(layers: set[str]) -> list[str]:
    return sorted({name.rpartition(".")[2] for name in layers})
