"""The report as one HTML file that needs nothing else and asks nothing of any network.

Whatever comes out of a run's files is escaped. Beyond that the page's own policy (Content Security
Policy, level 2) lets only the two scripts run that are put in here, known by their hashes, and no
address be asked.
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from importlib.resources import files
from typing import Any

from hrfs.reporting.report import to_plotly
from hrfs.reporting.report.chart import Chart
from hrfs.reporting.report.palette import DARK, LIGHT, colours
from hrfs.reporting.report.tables import Sheet


@dataclass(frozen=True, slots=True)
class Page:
    """What the report says, in its order."""

    title: str
    subtitle: str
    facts: Sequence[tuple[str, str]]
    notes: Sequence[str]
    charts: Sequence[Chart]
    sheets: Sequence[Sheet]
    links: Sequence[tuple[str, str]] = ()
    """Files beside the report: address relative to it, and what they are."""


def html(page: Page, plotly_js: str) -> str:
    """The whole file. ``plotly_js`` is the minified library."""
    assets = files("hrfs.reporting.report") / "assets"
    script = (assets / "report.js").read_text(encoding="utf-8")
    palettes = {"light": colours(LIGHT), "dark": colours(DARK)}
    charts = [{"key": chart.key, **to_plotly.figure(chart)} for chart in page.charts]
    return "".join(
        (
            "<!doctype html>\n",
            '<html lang="en" data-theme="light">\n<head>\n<meta charset="utf-8">\n',
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n',
            '<meta http-equiv="Content-Security-Policy" content="',
            _policy([plotly_js, script]),
            '">\n',
            f"<title>{escape(page.title)}</title>\n<style>\n",
            (assets / "report.css").read_text(encoding="utf-8"),
            "</style>\n</head>\n<body>\n",
            _body(page),
            _data("charts", charts),
            _data("palettes", palettes),
            f"<script>{plotly_js}</script>\n<script>{script}</script>\n</body>\n</html>\n",
        )
    )


def _policy(scripts: Sequence[str]) -> str:
    hashes = [b64encode(sha256(script.encode()).digest()).decode() for script in scripts]
    allowed = " ".join(f"'sha256-{one}'" for one in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )


def _data(key: str, content: Any) -> str:
    """JSON that no text in it can break out of."""
    text = json.dumps(content, allow_nan=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
    return f'<script type="application/json" id="{key}">{text}</script>\n'


def _body(page: Page) -> str:
    parts = [
        '<a class="skip" href="#main">To the figures</a>\n',
        f"<header><div><h1>{escape(page.title)}</h1>",
        f'<p class="sub">{escape(page.subtitle)}</p></div>',
        '<button id="theme" type="button">Use dark colours</button></header>\n',
        _navigation(page),
        '<main id="main">\n',
        "<noscript><p>The figures need JavaScript. They are in the files beside this one as "
        "well.</p></noscript>\n",
        _notes(page.notes),
        _facts(page.facts),
        *(_figure(chart) for chart in page.charts),
        *(_table(f"table-{index}", sheet) for index, sheet in enumerate(page.sheets)),
        _files(page.links),
        '</main>\n<div id="tip" role="tooltip" hidden></div>\n',
    ]
    return "".join(parts)


def _navigation(page: Page) -> str:
    links = [(chart.key, chart.title) for chart in page.charts]
    links += [(f"table-{index}", sheet.title) for index, sheet in enumerate(page.sheets)]
    items = "".join(f'<li><a href="#{key}">{escape(title)}</a></li>' for key, title in links)
    return f'<nav aria-label="Contents"><ul>{items}</ul></nav>\n'


def _notes(notes: Sequence[str]) -> str:
    if not notes:
        return ""
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f'<div class="notes" role="note"><ul>{items}</ul></div>\n'


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    items = "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in facts
    )
    return f'<dl class="facts">{items}</dl>\n' if facts else ""


def _figure(chart: Chart) -> str:
    key, alt = escape(chart.key), escape(f"{chart.title}. {chart.alt}")
    return (
        f'<section id="{key}" aria-labelledby="title-{key}">'
        f'<h2 id="title-{key}">{escape(chart.title)}</h2>\n<figure>'
        f'<div class="plot" id="plot-{key}" role="img" aria-label="{alt}"></div>\n'
        f"<figcaption>{escape(chart.alt)} {escape(chart.caption)}</figcaption>"
        "</figure></section>\n"
    )


def _table(key: str, sheet: Sheet) -> str:
    heads = "".join(f'<th scope="col">{escape(head)}</th>' for head in sheet.headings)
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        + "</tr>\n"
        for row in sheet.rows
    )
    notes = "".join(f"<p class=sub>{escape(note)}</p>\n" for note in sheet.notes)
    return (
        f'<section id="{key}" aria-labelledby="title-{key}">'
        f'<h2 id="title-{key}">{escape(sheet.title)}</h2>\n'
        f'<div class="scroll" role="region" tabindex="0" aria-labelledby="title-{key}">'
        f"<table><thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody></table></div>\n"
        f"{notes}</section>\n"
    )


def _files(links: Sequence[tuple[str, str]]) -> str:
    if not links:
        return ""
    items = "".join(
        f'<li><a href="{escape(address)}">{escape(words)}</a></li>' for address, words in links
    )
    return f'<section id="files"><h2>Files</h2><ul>{items}</ul></section>\n'
