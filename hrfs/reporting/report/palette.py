"""Colours that people with any common colour vision tell apart, on light and on dark ground.

The eight hues are those of Okabe and Ito (Color Universal Design, 2008), black replaced by grey and
yellow darkened so that all show on both grounds. No figure relies on them alone: trials are also
told by number, in the bars and where the pointer is.
"""

from __future__ import annotations

import colorsys

HUES = (
    "#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#b3a500", "#8c8c8c",
)  # fmt: skip
SHADES = (0.0, 0.16, -0.14)
"""Added to the lightness of a hue, so that as many times eight trials differ."""
LIGHT = {
    "ink": "#1b1f24",
    "faint": "#9aa4af",
    "grid": "#e3e7eb",
    "ground": "#ffffff",
    "accent": "#c2410c",
    "idle": "#dfe3e8",
}
DARK = {
    "ink": "#e8ebee",
    "faint": "#76808b",
    "grid": "#333a42",
    "ground": "#15181c",
    "accent": "#ff9d5c",
    "idle": "#3a4149",
}


def trial_colour(trial: int) -> str:
    """Name of the colour of a trial; of as many hues times shades they come again."""
    return f"c{trial % (len(HUES) * len(SHADES))}"


def colours(ground: dict[str, str]) -> dict[str, str]:
    """Every name that a chart may use, and its colour on that ground."""
    trials = {
        f"c{index}": _shade(HUES[index % len(HUES)], SHADES[index // len(HUES)])
        for index in range(len(HUES) * len(SHADES))
    }
    return {**ground, **trials}


def text_on(colour: str) -> str:
    """Black or white, whichever has more contrast on a trial's colour (WCAG 2.2, 1.4.3)."""
    shown = colours({})[colour]
    parts = (int(shown[at : at + 2], 16) / 255 for at in (1, 3, 5))
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#000000" if (luminance + 0.05) / 0.05 > 1.05 / (luminance + 0.05) else "#ffffff"


def _shade(colour: str, more: float) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))
    hue, lightness, saturation = colorsys.rgb_to_hls(red, green, blue)
    shaded = colorsys.hls_to_rgb(hue, min(0.9, max(0.15, lightness + more)), saturation)
    return "#" + "".join(f"{round(255 * part):02x}" for part in shaded)
