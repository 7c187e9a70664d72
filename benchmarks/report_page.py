"""How soon a report opens in a browser, and pictures of reports for the documents.

    python -m benchmarks.report_page                    # 10,000 simulated slices
    python -m benchmarks.report_page --open outputs/FOLDER --images docs/images

Needs the extra ``test`` and a Chromium: its path in CHROMIUM, or ``chromium`` on the path, or the
one that ``playwright install chromium`` fetched. *Opened* is the time until the page and its first
figure, the timeline, are there; the others follow one by one, and *complete* is when all are.
*Processor* is what the page's thread had of a processor until then: that is told because other
programs on the machine change it less. The least of ``--repeats``.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from rich.console import Console
from rich.table import Table

from benchmarks.conditions import conditions
from hrfs.experiment.files import write_atomically
from hrfs.reporting.report import contents, write_report
from hrfs.reporting.slices_write import encode_slices
from hrfs.simulator.driver import simulate
from hrfs.simulator.policies import policy_for
from hrfs.simulator.spec import LearningCurve, LearningRate, SimulatedWorker, Workload

if TYPE_CHECKING:
    from playwright.sync_api import Browser, CDPSession, Page

INTERVAL = 50
TRIALS = 40
TIMEOUT_MS = 300_000
VIEW: Any = {"width": 1280, "height": 900}
SHOTS: tuple[tuple[Literal["light", "dark"], bool], ...] = (("light", True), ("dark", False))
"""Colours, and whether the whole page is to be seen or its top."""
WHOLE = "html[data-drawn]"
OPENED = "html[data-opened]"
"""What the page's script says when all figures are drawn."""


def workload(slices: int, seed: int = 0) -> Workload:
    """40 trials on 3 GPUs and 12 CPUs, in about ``slices`` slices, at least."""
    rng = random.Random(seed)
    gpus = [SimulatedWorker(f"gpu-{i}", 0.02 * (1 + i), 0.2, "gpu") for i in range(3)]
    cpus = [SimulatedWorker(f"cpu-{i}", rng.uniform(0.15, 0.3), 0.3, "cpu") for i in range(12)]
    curve = LearningCurve(
        half_lives_iterations=(300.0,),
        ceilings=(0.95,),
        noise=0.01,
        learning_rate=LearningRate(1e-4, 1.0, 0.01),
    )
    stop = -(-slices // TRIALS) * INTERVAL  # every slice is an interval at most
    return Workload(
        TRIALS, stop, INTERVAL, (*gpus, *cpus), noise_sigma=0.1, migration_s=0.2, curve=curve
    )


def chromium() -> str | None:
    """Path of the browser; None leaves it to playwright."""
    return os.environ.get("CHROMIUM") or shutil.which("chromium")


@contextmanager
def opened() -> Iterator[Browser]:
    """A headless Chromium."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        path, switches = chromium(), ["--no-sandbox"]
        browser = playwright.chromium.launch(
            executable_path=path, args=switches, timeout=TIMEOUT_MS
        )
        yield browser
        browser.close()


def measure(browser: Browser, page_file: Path, repeats: int) -> dict[str, float]:
    """Seconds by name, the least of all repeats."""
    found: list[dict[str, float]] = []
    for _ in range(repeats):
        page = browser.new_page(viewport=VIEW)
        devtools = page.context.new_cdp_session(page)
        devtools.send("Performance.enable", {"timeDomain": "threadTicks"})
        page.goto(page_file.resolve().as_uri(), wait_until="commit", timeout=TIMEOUT_MS)
        page.wait_for_selector(OPENED, state="attached", timeout=TIMEOUT_MS)
        opened_s = thread_s(devtools)
        page.wait_for_selector(WHOLE, state="attached", timeout=TIMEOUT_MS)
        told: dict[str, Any] = page.evaluate("window.hrfsReport")
        found.append(
            {
                "opened": told["first_ms"] / 1e3,
                "of the processor": opened_s,
                "complete": told["all_ms"] / 1e3,
                "processor": thread_s(devtools),
            }
        )
        page.close()
    return {name: min(one[name] for one in found) for name in found[0]}


def thread_s(devtools: CDPSession) -> float:
    """Seconds that the page's own thread has had of a processor."""
    known = devtools.send("Performance.getMetrics")["metrics"]
    return float(next(one["value"] for one in known if one["name"] == "ThreadTime"))


def show(page: Page, page_file: Path) -> None:
    """Open the report and wait until all figures are drawn."""
    page.goto(page_file.resolve().as_uri(), wait_until="commit", timeout=TIMEOUT_MS)
    page.wait_for_selector(WHOLE, state="attached", timeout=TIMEOUT_MS)


def picture(browser: Browser, page_file: Path, images: Path, name: str) -> list[Path]:
    """The whole page in light, and its top in dark."""
    images.mkdir(parents=True, exist_ok=True)
    made = []
    for scheme, whole in SHOTS:
        page = browser.new_page(viewport=VIEW, color_scheme=scheme)
        show(page, page_file)
        made.append(images / f"{name}{'' if whole else '_dark'}.png")
        page.screenshot(path=made[-1], full_page=whole, timeout=TIMEOUT_MS)
        page.close()
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--slices", type=int, default=10_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--open", type=Path, nargs="+", help="folders of runs, instead")
    parser.add_argument("--images", type=Path, help="where pictures of the report go")
    parser.add_argument("--name", default="report", help="of the pictures")
    asked = parser.parse_args()
    console = Console()
    console.print(conditions("plotly", "playwright"))
    with tempfile.TemporaryDirectory() as scratch:
        folder, runs = Path(scratch), asked.open
        if runs is None:
            work = workload(asked.slices)
            records = simulate(work, policy_for("hrfs", work))
            console.print(f"{len(records)} slices")
            write_atomically(folder / "slices.csv", encode_slices(records))
            runs = [folder]
        page_file = write_report(folder, contents(runs), figures=False)[-1]
        table = Table("MB", "opened (s)", "processor (s)", "complete (s)", "processor (s)")
        with opened() as browser:
            seconds = measure(browser, page_file, asked.repeats)
            size = page_file.stat().st_size / 1e6
            table.add_row(f"{size:.1f}", *(f"{value:.1f}" for value in seconds.values()))
            console.print(table)
            if asked.images:
                for image in picture(browser, page_file, asked.images, asked.name):
                    console.print(f"picture: {image}")


if __name__ == "__main__":
    main()
