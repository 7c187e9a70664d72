"""Charts as PNG and SVG for papers, drawn by matplotlib on white."""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from hrfs.reporting.report.chart import Arrows, Axis, Band, Bars, Chart, Layer, Line, Points
from hrfs.reporting.report.palette import LIGHT, colours, text_on

if TYPE_CHECKING:
    from matplotlib.axes import Axes

WIDTH_INCHES = 7.0
PIXELS_PER_INCH = 96.0
PNG_DPI = 200
MOST_VECTORS = 2000
"""More bars than this are pixels within the SVG, which would else take seconds to open."""
MOST_LEGEND = 12
STYLE = {
    "text.parse_math": False,  # a worker's name may have a dollar in it
    "font.size": 8,
    "svg.fonttype": "none",
    "svg.hashsalt": "hrfs",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "path.simplify": True,
}
_COLOURS = colours(LIGHT)
_DASHES = {"solid": "-", "dash": "--", "dot": ":"}
_MARKERS = {
    "circle": "o", "square": "s", "diamond": "D", "cross": "P", "triangle": "^", "x": "X",
}  # fmt: skip


def draw(chart: Chart) -> dict[str, bytes]:
    """The figure by file suffix, ``png`` and ``svg``. The same chart gives the same bytes.

    Needs no display and leaves matplotlib's global state alone.

    Raises:
        ImportError: matplotlib is not installed.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    found = {}
    with mpl.rc_context(STYLE):  # type: ignore[arg-type]  # its stubs list every key
        figure = Figure(figsize=(WIDTH_INCHES, chart.height_px / PIXELS_PER_INCH * 0.72))
        FigureCanvasAgg(figure)
        axes = figure.add_subplot()
        for layer in chart.layers:
            _draw(layer, axes)
        _dress(axes, chart)
        for suffix, metadata in (("png", {"Software": None}), ("svg", {"Date": None})):
            buffer = BytesIO()
            figure.savefig(
                buffer, format=suffix, dpi=PNG_DPI, bbox_inches="tight", metadata=metadata
            )
            found[suffix] = buffer.getvalue()
    return found


def _dress(axes: Axes, chart: Chart) -> None:
    for told, axis, scale, limits in (
        (chart.x, axes.xaxis, axes.set_xscale, axes.set_xlim),
        (chart.y, axes.yaxis, axes.set_yscale, axes.set_ylim),
    ):
        if told.log:
            scale("log")
        if told.range is not None:
            limits(*told.range)
        _label(axis, told)
    axes.set_title(chart.title, loc="left", fontsize=9)
    handles, names = axes.get_legend_handles_labels()
    if chart.legend and 1 < len(names) <= MOST_LEGEND:
        axes.legend(handles, names, fontsize=7, frameon=False, loc="center left",
                    bbox_to_anchor=(1.0, 0.5))  # fmt: skip


def _label(axis: Any, told: Axis) -> None:
    axis.set_label_text(told.title)
    if told.ticks is not None:
        axis.set_ticks([place for place, _ in told.ticks], [label for _, label in told.ticks])


def _floats(values: Sequence[float | None]) -> np.ndarray:
    return np.array([np.nan if value is None else value for value in values], dtype=float)


@singledispatch
def _draw(layer: Layer, axes: Axes) -> None:
    raise TypeError(f"{type(layer).__name__} is no layer that {axes} could hold")


@_draw.register(Line)
def _(layer: Line, axes: Axes) -> None:
    axes.plot(
        _floats(layer.x),
        _floats(layer.y),
        color=_COLOURS[layer.colour],
        linewidth=0.7 * layer.width,
        linestyle=_DASHES[layer.dash],
        drawstyle="steps-post" if layer.steps else "default",
        alpha=layer.opacity,
        label=layer.name if layer.legend else "_",
    )


@_draw.register(Band)
def _(layer: Band, axes: Axes) -> None:
    colour = _COLOURS[layer.colour]
    axes.fill_between(
        layer.x, layer.low, layer.high, step="post", color=colour, alpha=0.25, linewidth=0,
        label=layer.name,
    )  # fmt: skip


@_draw.register(Points)
def _(layer: Points, axes: Axes) -> None:
    colour = _COLOURS[layer.colour]
    if layer.size:
        axes.scatter(
            layer.x, layer.y, s=layer.size**2 * 0.6, c=colour, marker=_MARKERS[layer.symbol],
            linewidths=0, label=layer.name or "_", rasterized=len(layer.x) > MOST_VECTORS,
        )  # fmt: skip
    for x, y, text in zip(layer.x, layer.y, layer.text, strict=False):
        axes.annotate(
            text, (x, y), xytext=(4 if layer.size else 0, 0), textcoords="offset points",
            ha="left" if layer.size else "center", va="center", fontsize=7, color=colour,
        )  # fmt: skip
    for x, y, low, high in zip(layer.x, layer.y, layer.low, layer.high, strict=False):
        if low is not None and high is not None:
            axes.errorbar(
                x, y, xerr=[[x - low], [high - x]], color=colour, capsize=3, linewidth=1.2
            )


@_draw.register(Bars)
def _(layer: Bars, axes: Axes) -> None:
    from matplotlib.collections import PolyCollection

    boxes = [
        ((x, y - 0.4), (x, y + 0.4), (x + length, y + 0.4), (x + length, y - 0.4))
        for x, y, length in zip(layer.start, layer.row, layer.length, strict=True)
    ]
    bars = PolyCollection(
        boxes, facecolors=_COLOURS[layer.colour], edgecolors="white", linewidths=0.3,
        label=layer.name, rasterized=len(boxes) > MOST_VECTORS,
    )  # fmt: skip
    axes.add_collection(bars)
    axes.autoscale_view()
    ink = "black" if layer.colour in LIGHT else text_on(layer.colour)
    for x, y, length, text in zip(layer.start, layer.row, layer.length, layer.text, strict=False):
        if text:
            axes.text(x + length / 2, y, text, ha="center", va="center", fontsize=6, color=ink,
                      clip_on=True)  # fmt: skip


@_draw.register(Arrows)
def _(layer: Arrows, axes: Axes) -> None:
    if layer.hidden:
        return
    colour = _COLOURS[layer.colour]
    for x0, y0, x1, y1 in zip(layer.x0, layer.y0, layer.x1, layer.y1, strict=True):
        style = {
            "arrowstyle": "-|>", "color": colour, "lw": 0.6 * layer.width, "shrinkA": 0,
            "shrinkB": 0, "mutation_scale": 4 + 2 * layer.width,
        }  # fmt: skip
        axes.annotate("", xy=(x1, y1), xytext=(x0, y0), arrowprops=style)
    axes.plot([], [], color=colour, linewidth=layer.width, label=layer.name)
