"""The pictures in docs/images, all of one run, by one command.

    python -m hrfs hydra.run.dir=outputs/demo
    python -m benchmarks.screenshots outputs/demo

writes ``console.svg`` (the live view two thirds through the run), ``tensorboard.png``,
``tensorboard_hparams.png``, ``timeline.png``, ``report.png`` and ``report_dark.png``. Needs the
extra ``test`` and a Chromium, see :mod:`benchmarks.report_page`.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from rich.console import Console

from benchmarks.report_page import opened, picture
from benchmarks.reporting import told
from hrfs.cli.build import build_plan
from hrfs.experiment.records import ExploitRecord, SliceRecord, WorkerInfo
from hrfs.reporting import History, read_slices
from hrfs.reporting.live import LiveView
from hrfs.reporting.report import contents, write_report

if TYPE_CHECKING:
    from playwright.sync_api import Browser

IMAGES = Path("docs/images")
PART = 0.66
"""How much of the run the live view has seen."""
PATIENCE_S = 60.0
TABS = {"tensorboard": "custom_scalars", "tensorboard_hparams": "hparams"}


def console(run: Path, image: Path) -> None:
    """The live view as it was when :data:`PART` of the run's time had passed."""
    config: Any = yaml.safe_load((run / "config.yaml").read_bytes())
    records = read_slices(run / "slices.csv")
    plan = build_plan(config, {"model": "small_resnet", "dataset": "digits"})
    kinds = {record.worker: record.worker_kind for record in records}
    workers = [WorkerInfo(name, kind, "this machine", 1) for name, kind in kinds.items()]
    history, now_s = History(), PART * max(record.end_s for record in records)
    history.on_start(plan, workers)
    takers = {r.start_s: exploit_of(r) for r in records if r.parent is not None}
    for time_s, tell in told(records):
        if time_s <= now_s:
            tell(history)
            if time_s in takers:
                history.on_exploit(takers.pop(time_s))
    page = Console(width=100, height=30, record=True, file=StringIO(), force_terminal=True)
    page.print(LiveView(history).render(now_s, 100, 30))
    page.save_svg(str(image), title="python -m hrfs")


def exploit_of(record: SliceRecord) -> ExploitRecord:
    """What came before a slice that began from another trial's weights, as far as it tells."""
    assert record.parent is not None
    return ExploitRecord(
        time_s=record.start_s,
        trial=record.trial,
        donor=record.parent,
        iteration=record.from_iteration,
        donor_iteration=record.from_iteration,
        before={},
        after=record.hyperparameters,
        operations={},
    )


def tensorboard(run: Path, browser: Browser, images: Path) -> None:
    """Two of TensorBoard's tabs."""
    with served(run / "tensorboard") as address:
        for name, tab in TABS.items():
            page = browser.new_page(viewport={"width": 1280, "height": 900})
            page.goto(f"{address}#{tab}")
            time.sleep(8)  # it says nowhere when its curves are drawn
            page.screenshot(path=images / f"{name}.png")
            page.close()


@contextmanager
def served(logdir: Path) -> Iterator[str]:
    """Address of a TensorBoard of its own."""
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--port", "0"]
    with (
        tempfile.TemporaryFile("w+b") as log,
        subprocess.Popen(command, stdout=log, stderr=log) as server,
    ):
        try:
            deadline_s = time.monotonic() + PATIENCE_S
            found = None
            while not found and time.monotonic() < deadline_s:
                time.sleep(0.2)
                log.seek(0)
                found = re.search(r"http://\S+", log.read().decode())
            if not found:
                raise TimeoutError("TensorBoard did not start")
            yield found[0]
        finally:
            server.terminate()


def main() -> None:
    """Make them all."""
    parser = argparse.ArgumentParser(description="The pictures in docs/images.")
    parser.add_argument("run", type=Path, help="folder of a run that has ended")
    parser.add_argument("--images", type=Path, default=IMAGES)
    asked = parser.parse_args()
    asked.images.mkdir(parents=True, exist_ok=True)
    console(asked.run, asked.images / "console.svg")
    with tempfile.TemporaryDirectory() as scratch, opened() as browser:
        written = write_report(Path(scratch), contents([asked.run]), figures=True)
        timeline = next(path for path in written if path.name == "timeline.png")
        (asked.images / "timeline.png").write_bytes(timeline.read_bytes())
        page_file = next(path for path in written if path.suffix == ".html")
        picture(browser, page_file, asked.images, "report")
        tensorboard(asked.run, browser, asked.images)
    for path in sorted(asked.images.iterdir()):
        print(path)


if __name__ == "__main__":
    main()
