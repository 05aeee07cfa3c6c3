"""Whether the groups of quantized weights divide the layers of a model."""

from finery.check.facts import Model
from finery.models.group_size import Quantized, fitting, undivided
from finery.models.layer_widths import layer_widths


def group_size_problem(model: Model, params: Quantized) -> str | None:
    """A group that does not divide a layer's width quantizes in silence and crashes when served."""
    widths = layer_widths(model.language)
    bad = list(undivided(params, widths))
    if not bad:
        return None
    found = ", ".join(map(str, sorted({width for _, width, _ in bad})))
    return (
        f"{bad[0][2]} does not divide the layer widths {found} of {model.folder};"
        f" {fitting(params, widths)}"
    )
