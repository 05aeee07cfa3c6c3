"""A number of all models as a picture: points with their intervals, as SVG to put into a page."""

import re
from collections.abc import Mapping
from io import StringIO

from finery.comparison.numbers import SHARES
from finery.comparison.table import Estimate

INK = "#010203"
"""Stands for the colour that the page has its text in, light or dark."""
POINT = "#3987e5"
FONT = 9


def plot(number: str, models: Mapping[str, Estimate]) -> str:
    """An SVG element without fonts, scripts or links; the same bytes every time."""
    import matplotlib
    from matplotlib.figure import Figure

    settings = {"svg.hashsalt": number, "svg.fonttype": "none", "font.size": FONT}
    with matplotlib.rc_context(settings):
        height = 0.55 + 0.28 * len(models)  # inches, as the margins are
        figure = Figure(figsize=(3.6, height))
        edges = {"left": 0.22, "right": 0.97, "bottom": 0.25 / height, "top": 1 - 0.25 / height}
        _draw(figure.subplots(gridspec_kw=edges), number, models)
        text = StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
    return _inline(text.getvalue(), number)


def _draw(axes, number: str, models: Mapping[str, Estimate]) -> None:
    scale = 100 if number in SHARES else 1
    for place, estimate in enumerate(models.values()):
        if estimate.low is not None and estimate.high is not None:
            ends = [scale * estimate.low, scale * estimate.high]
            axes.plot(ends, [place, place], color=POINT, linewidth=2, clip_on=False)
        axes.plot([scale * estimate.value], [place], "o", color=POINT, markersize=5, clip_on=False)
    axes.set_yticks(range(len(models)), list(models))
    axes.set_ylim(len(models) - 0.5, -0.5)
    axes.margins(x=0.08)
    axes.tick_params(colors=INK, length=2)
    axes.grid(axis="x", color=INK, alpha=0.15, clip_on=False)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(INK)
    axes.set_title(f"{number}, %" if scale == 100 else number, color=INK, fontsize=FONT)


def _inline(svg: str, number: str) -> str:
    """The element alone, as wide as there is room, in the page's font and colour."""
    element = svg[svg.index("<svg") :]
    element = re.sub(r"<metadata>.*?</metadata>", "", element, flags=re.S)
    element = re.sub(r' (width|height)="[\d.]+pt"', "", element, count=2)
    element = element.replace(INK, "currentColor").replace(
        ' xmlns:xlink="http://www.w3.org/1999/xlink"', ""
    )
    element = element.replace("xlink:href", "href")
    return element.replace("<svg", f'<svg role="img" aria-label="{number}"', 1)
