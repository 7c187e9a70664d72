"""The report in a real browser: it draws, it answers the pointer, and it asks no network."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from runs_play import write_run

from benchmarks.report_page import TIMEOUT_MS, VIEW, measure, opened, show, workload
from hrfs.experiment.files import write_atomically
from hrfs.reporting.report import contents, write_report
from hrfs.reporting.slices_write import encode_slices
from hrfs.simulator.driver import simulate
from hrfs.simulator.policies import policy_for

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = pytest.mark.slow
XSS = "</script><img src=x onerror=alert(1)> <b>bold</b>"
MOST_PROCESSOR_S = 9.0
"""Three times what it is to take: tests share their machine with others."""
AT_SLICE = """([trace, number]) => {
  const place = document.getElementById("plot-timeline"), layout = place._fullLayout;
  place.scrollIntoView({ block: "center" });
  const charts = JSON.parse(document.getElementById("charts").textContent);
  const boxes = charts[0].boxes[trace];
  const frame = place.querySelector(".nsewdrag").getBoundingClientRect();
  const middle = boxes.start[number] + boxes.length[number] / 2;
  return { x: frame.left + layout.xaxis.d2p(middle),
           y: frame.top + layout.yaxis.d2p(boxes.row[number]), hover: boxes.hover[number] };
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    from playwright.sync_api import Error

    with ExitStack() as stack:
        try:
            browser = stack.enter_context(opened())
        except Error as error:
            pytest.skip(f"no Chromium: {str(error).splitlines()[0]}")
        yield browser


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a run whose texts are out to do harm."""
    folder = write_run(tmp_path_factory.mktemp("browser") / "run")
    path = folder / "slices.csv"
    text = path.read_text().replace("least advanced", f'"{XSS}"').replace("box-cpu-1", f'"{XSS}"')
    path.write_text(text)
    return write_report(folder, contents([folder]), figures=False)[-1]


class Visit:
    """A page, what it said and what it asked for."""

    def __init__(self, browser: Browser, file: Path, **more: Any) -> None:
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page: Page = browser.new_page(viewport=VIEW, **more)
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(dialog.message))
        self.page.on("request", lambda request: self.asked.append(request.url))
        show(self.page, file)


def test_every_figure_is_drawn_and_nobody_is_asked(browser: Browser, report: Path) -> None:
    visit = Visit(browser, report)
    told = visit.page.evaluate("window.hrfsReport")
    assert told["charts"] == told["drawn"] == 8
    assert told["errors"] == []
    for place in visit.page.query_selector_all(".plot"):
        assert place.query_selector("svg.main-svg") is not None
        box = place.bounding_box()
        assert box is not None
        assert box["height"] > 100
        assert re.match(r"[\w ]+\. .", place.get_attribute("aria-label") or "")
    assert visit.page.query_selector("#plot-timeline .scatterlayer path") is not None
    assert visit.asked == [report.as_uri()]
    assert visit.said == []
    assert visit.page.query_selector("img") is None
    visit.page.close()


def test_pointing_at_a_slice_shows_the_reason_as_it_is(browser: Browser, report: Path) -> None:
    visit = Visit(browser, report)
    tip = visit.page.locator("#tip")
    assert tip.is_hidden()
    at = visit.page.evaluate(AT_SLICE, [1, 2])
    visit.page.mouse.move(at["x"], at["y"])
    tip.wait_for(state="visible", timeout=TIMEOUT_MS)
    shown = " ".join((tip.text_content() or "").split())
    assert shown == " ".join(at["hover"].split())
    assert shown.startswith("trial 1, slice ")
    assert f"why: {XSS}" in shown
    assert visit.page.query_selector("#tip b") is None
    visit.page.mouse.move(5, 5)
    assert tip.is_hidden()
    assert visit.said == []
    visit.page.close()


def test_dark_and_light(browser: Browser, report: Path) -> None:
    visit = Visit(browser, report, color_scheme="dark")
    ground = "getComputedStyle(document.body).backgroundColor"
    inner = "document.querySelector('#plot-scores .main-svg').style.background"
    assert visit.page.evaluate(ground) == visit.page.evaluate(inner) == "rgb(21, 24, 28)"
    button = visit.page.get_by_role("button", name="Use light colours")
    button.press("Enter")
    visit.page.wait_for_selector("html[data-drawn='light']", state="attached", timeout=TIMEOUT_MS)
    assert visit.page.evaluate(ground) == visit.page.evaluate(inner) == "rgb(255, 255, 255)"
    assert visit.page.get_by_role("button", name="Use dark colours").is_visible()
    assert visit.said == []
    visit.page.close()


def test_a_small_screen_does_not_scroll_sideways(browser: Browser, report: Path) -> None:
    visit = Visit(browser, report)
    visit.page.set_viewport_size({"width": 480, "height": 800})
    visit.page.wait_for_timeout(1000)
    over = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert visit.page.evaluate(over) <= 0
    visit.page.close()


def test_ten_thousand_slices(browser: Browser, tmp_path: Path) -> None:
    work = workload(10_000)
    records = simulate(work, policy_for("hrfs", work))
    assert len(records) >= 10_000
    write_atomically(tmp_path / "slices.csv", encode_slices(records))
    page = write_report(tmp_path, contents([tmp_path]), figures=False)[-1]
    assert measure(browser, page, 1)["processor"] < MOST_PROCESSOR_S
