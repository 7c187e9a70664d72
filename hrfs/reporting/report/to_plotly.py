"""Charts as the JSON that plotly.js draws. Colours are ``@name``, which the page's script resolves.

plotly.js reads some HTML in texts, so all texts are escaped here.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import singledispatch
from html import escape
from typing import Any

from hrfs.reporting.report.chart import Arrows, Axis, Band, Bars, Chart, Layer, Line, Points
from hrfs.reporting.report.palette import LIGHT, text_on

Trace = dict[str, Any]
_SYMBOLS = {"triangle": "triangle-up"}
MOST_HEADS = 250
LEAST_LEFT_PX = 70
CHARACTER_PX = 8
_DIGITS = 7
"""Significant digits of places; more than any screen shows."""


def figure(chart: Chart) -> dict[str, Any]:
    """``data`` and ``layout`` for ``Plotly.newPlot``, and ``boxes``, the bars of some traces."""
    data: list[Trace] = []
    boxes: list[dict[str, Any]] = []
    for layer in chart.layers:
        if isinstance(layer, Bars):
            boxes.append({"trace": len(data), **_boxes(layer)})
        data += _traces(layer)
    layout = {
        "height": chart.height_px,
        "margin": {"l": _left_px(chart.y), "r": 20, "t": 10, "b": 50, "pad": 4},
        "hovermode": "closest",
        "showlegend": chart.legend,
        "legend": {"itemsizing": "constant", "tracegroupgap": 0},
        "paper_bgcolor": "@ground",
        "plot_bgcolor": "@ground",
        "font": {"color": "@ink", "family": "system-ui, sans-serif", "size": 13},
        "hoverlabel": {"align": "left", "bgcolor": "@ground", "font": {"color": "@ink"}},
        "xaxis": _axis(chart.x),
        "yaxis": _axis(chart.y),
    }
    return {"data": data, "layout": layout, "boxes": boxes}


def _boxes(layer: Bars) -> dict[str, Any]:
    """Places and plain texts of bars, from which the page's script makes their path, and which it
    looks through where the pointer is.
    """
    return {
        "row": list(layer.row),
        "start": _numbers(layer.start),
        "length": _numbers(layer.length),
        "hover": list(layer.hover),
    }


def _left_px(axis: Axis) -> int:
    """Room for the labels: plotly.js itself would find it out by drawing everything twice."""
    longest = max((len(label) for _, label in axis.ticks or ()), default=0)
    return max(LEAST_LEFT_PX, longest * CHARACTER_PX + (30 if axis.title else 14))


def text(plain: str) -> str:
    """``plain`` as plotly.js shows it, whatever is in it."""
    return escape(plain, quote=False).replace("\n", "<br>")


def _texts(plain: Sequence[str]) -> list[str]:
    return [text(one) for one in plain]


def _numbers(values: Sequence[float | None]) -> list[float | None]:
    return [None if value is None else float(f"{value:.{_DIGITS}g}") for value in values]


def _axis(axis: Axis) -> dict[str, Any]:
    told: dict[str, Any] = {
        "title": {"text": text(axis.title)},
        "automargin": False,
        "gridcolor": "@grid",
        "zeroline": False,
        "linecolor": "@faint",
    }
    if axis.ticks is not None:
        told |= {
            "tickmode": "array",
            "tickvals": [place for place, _ in axis.ticks],
            "ticktext": [text(label) for _, label in axis.ticks],
            "showgrid": False,
        }
    if axis.log:
        told |= {"type": "log", "exponentformat": "power"}
    if axis.range is not None:
        told["range"] = list(axis.range)
    return told


@singledispatch
def _traces(layer: Layer) -> list[Trace]:
    raise TypeError(f"{type(layer).__name__} is no layer")


def _hover(told: Sequence[str]) -> Trace:
    if not told:
        return {"hoverinfo": "skip"}
    return {"hoverinfo": "text", "hovertext": _texts(told)}


@_traces.register(Line)
def _(layer: Line) -> list[Trace]:
    return [
        {
            "type": "scatter",
            "mode": "lines",
            "name": text(layer.name),
            "x": _numbers(layer.x),
            "y": _numbers(layer.y),
            "opacity": layer.opacity,
            "showlegend": layer.legend,
            "connectgaps": False,
            "line": {
                "color": f"@{layer.colour}",
                "width": layer.width,
                "dash": layer.dash,
                "shape": "hv" if layer.steps else "linear",
            },
            **_hover(layer.hover),
        }
    ]


@_traces.register(Band)
def _(layer: Band) -> list[Trace]:
    edge: Trace = {
        "type": "scatter",
        "mode": "lines",
        "x": _numbers(layer.x),
        "line": {"width": 0, "shape": "hv", "color": f"@{layer.colour}"},
        "hoverinfo": "skip",
    }
    low = {**edge, "y": _numbers(layer.low), "showlegend": False}
    high = {**edge, "y": _numbers(layer.high), "name": text(layer.name)}
    return [low, {**high, "fill": "tonexty", "fillcolor": f"@{layer.colour}/0.25"}]


@_traces.register(Points)
def _(layer: Points) -> list[Trace]:
    trace: Trace = {
        "type": "scatter",
        "mode": "text" if not layer.size else "markers+text" if layer.text else "markers",
        "name": text(layer.name),
        "x": _numbers(layer.x),
        "y": _numbers(layer.y),
        "showlegend": bool(layer.name),
        "marker": {
            "color": f"@{layer.colour}",
            "symbol": _SYMBOLS.get(layer.symbol, layer.symbol),
            "size": layer.size,
            "opacity": 0.75 if len(layer.x) > 50 else 1.0,
        },
        **_hover(layer.hover),
    }
    if layer.text:
        trace |= {"text": _texts(layer.text), "textposition": "middle right"}
        if not layer.size:
            trace["textposition"] = "middle center"
    if layer.low:
        known = list(zip(layer.x, layer.low, layer.high, strict=True))
        trace["error_x"] = {
            "type": "data",
            "symmetric": False,
            "array": [None if high is None else high - x for x, _, high in known],
            "arrayminus": [None if low is None else x - low for x, low, _ in known],
            "color": f"@{layer.colour}",
            "thickness": 2,
        }
    return [trace]


@_traces.register(Bars)
def _(layer: Bars) -> list[Trace]:
    """One filled path for all, whose corners the page's script adds: thousands of single bars
    would take plotly.js seconds.
    """
    known = zip(layer.row, layer.start, layer.length, layer.text, strict=False)
    inside = [(start + length / 2, row, told) for row, start, length, told in known if told]
    path: Trace = {
        "type": "scatter",
        "mode": "lines",
        "fill": "toself",
        "name": text(layer.name),
        "legendgroup": text(layer.name),
        "fillcolor": f"@{layer.colour}",
        "line": {"color": "@ground", "width": 0.6},
        "hoverinfo": "skip",
    }
    words: Trace = {
        "type": "scatter",
        "mode": "text",
        "legendgroup": text(layer.name),
        "showlegend": False,
        "x": _numbers([x for x, _, _ in inside]),
        "y": [row for _, row, _ in inside],
        "text": _texts([told for _, _, told in inside]),
        "textfont": {"color": "@ink" if layer.colour in LIGHT else text_on(layer.colour),
                     "size": 11},
        "hoverinfo": "skip",
    }  # fmt: skip
    return [path, words] if inside else [path]


@_traces.register(Arrows)
def _(layer: Arrows) -> list[Trace]:
    """All shafts as one path, and the heads of at most :data:`MOST_HEADS`, which are costly."""
    name, colour = text(layer.name), f"@{layer.colour}"
    line = {"color": colour, "width": layer.width}
    shafts = _ends(layer, range(len(layer.x0)), layer.hover)
    every = -(-len(layer.x0) // MOST_HEADS)
    heads = _ends(layer, range(0, len(layer.x0), max(1, every)), ())
    marker = {
        "symbol": "arrow",
        "angleref": "previous",
        "color": colour,
        "size": [0, 6 + 2 * layer.width, 0] * (len(heads["x"]) // 3),
        "opacity": 1.0,
    }
    shown = "legendonly" if layer.hidden else True
    common = {"type": "scatter", "name": name, "legendgroup": name, "visible": shown}
    return [
        {**common, "mode": "lines", "line": line, **shafts},
        {**common, "mode": "lines+markers", "line": {**line, "width": 0}, "marker": marker,
         "showlegend": False, **heads},
    ]  # fmt: skip


def _ends(layer: Arrows, chosen: Sequence[int], hover: Sequence[str]) -> Trace:
    x = [at for i in chosen for at in (layer.x0[i], layer.x1[i], None)]
    y = [at for i in chosen for at in (layer.y0[i], layer.y1[i], None)]
    told = [said for one in hover for said in (one, one, "")]
    return {"x": _numbers(x), "y": _numbers(y), **_hover(told)}
