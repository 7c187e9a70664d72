"""What a figure shows, apart from what draws it: layers of numbers with colours by name.

Colours are the names that :mod:`hrfs.reporting.report.palette` resolves for the page, light and
dark, and for paper. Texts are plain: whoever draws them escapes them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

Numbers = Sequence[float | None]
"""None breaks a line."""
Texts = Sequence[str]
Dash = Literal["solid", "dash", "dot"]


@dataclass(frozen=True, slots=True)
class Axis:
    """One axis. ``ticks`` are (place, text); None leaves them to whoever draws."""

    title: str = ""
    ticks: Sequence[tuple[float, str]] | None = None
    log: bool = False
    range: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """Points joined in their order; ``hover`` has one text per point or none at all."""

    name: str
    x: Numbers
    y: Numbers
    colour: str
    hover: Texts = ()
    width: float = 1.5
    dash: Dash = "solid"
    steps: bool = False
    """Whether a value holds until the next point."""
    opacity: float = 1.0
    legend: bool = True


@dataclass(frozen=True, slots=True)
class Band:
    """The area between ``low`` and ``high``."""

    name: str
    x: Sequence[float]
    low: Sequence[float]
    high: Sequence[float]
    colour: str


@dataclass(frozen=True, slots=True)
class Points:
    """Marks, with an interval around each where ``low`` and ``high`` are given."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    colour: str
    hover: Texts = ()
    symbol: Literal["circle", "square", "diamond", "cross", "triangle", "x"] = "circle"
    size: float = 6.0
    text: Texts = ()
    """Written beside the marks."""
    low: Numbers = ()
    high: Numbers = ()


@dataclass(frozen=True, slots=True)
class Bars:
    """Horizontal bars: each in ``row``, from ``start`` on, ``length`` long."""

    name: str
    row: Sequence[int]
    start: Sequence[float]
    length: Sequence[float]
    colour: str
    hover: Texts = ()
    text: Texts = ()
    """Written inside the bars."""


@dataclass(frozen=True, slots=True)
class Arrows:
    """Each from (x0, y0) to (x1, y1)."""

    name: str
    x0: Sequence[float]
    y0: Sequence[float]
    x1: Sequence[float]
    y1: Sequence[float]
    colour: str
    hover: Texts = ()
    width: float = 1.0
    hidden: bool = False
    """Whether the page shows them only when they are asked for, and a paper not at all."""


Layer = Line | Band | Points | Bars | Arrows


@dataclass(frozen=True, slots=True)
class Chart:
    """One figure. ``key`` names its files, ``alt`` says in words what is to be seen in it."""

    key: str
    title: str
    alt: str
    x: Axis
    y: Axis
    layers: Sequence[Layer] = field(default_factory=tuple)
    caption: str = ""
    height_px: int = 420
    legend: bool = True
