"""A real browser without a window, for tests of what is drawn: the system's own Chromium."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


@contextmanager
def opened_page(width: int = 1400, height: int = 900) -> Iterator[Page]:
    """An empty page; skips the test where there is no Chromium or no playwright."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"needs a browser: none of {', '.join(NAMES)} is installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=path, args=["--no-sandbox"])
        try:
            yield browser.new_page(viewport={"width": width, "height": height})
        finally:
            browser.close()


def all_text(page: Page) -> str:
    """All text of the page, that of its web components included."""
    text: str = page.evaluate(
        """() => {
            const found = [];
            const walk = (node) => {
                if (node.shadowRoot) walk(node.shadowRoot);
                for (const child of node.childNodes) {
                    if (child.nodeType === Node.TEXT_NODE) found.push(child.textContent.trim());
                    else if (!['STYLE', 'SCRIPT'].includes(child.nodeName)) walk(child);
                }
            };
            walk(document.body);
            return found.filter((text) => text).join('\\n');
        }"""
    )
    return text
