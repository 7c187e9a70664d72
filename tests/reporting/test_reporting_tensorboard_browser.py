"""TensorBoard itself, in a real browser, on what a run leaves behind."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import all_text, opened_page
from reporting_play import Play, make_plan

from hrfs.reporting import History
from hrfs.reporting.tensorboard import TensorBoard

pytestmark = pytest.mark.slow

PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Where TensorBoard shows a run of 20 trials."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "config.yaml").write_text("seed: 3\nmodel:\n  name: resnet18\n")
    history = History()
    plan = make_plan(20, stop_iterations=400)
    Play([history, TensorBoard(folder / "tensorboard", history)], plan).run()
    log = folder / "log"
    yield from served(folder / "tensorboard", log)


def served(logdir: Path, log: Path) -> Iterator[str]:
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(logdir), "--port", "0"]
    with log.open("wb") as sink, subprocess.Popen(command, stdout=sink, stderr=sink) as server:
        try:
            deadline_s = time.monotonic() + PATIENCE_S
            while not (found := re.search(r"http://\S+", log.read_text())):
                assert time.monotonic() < deadline_s, log.read_text()
                time.sleep(0.1)
            yield found[0]
        finally:
            server.terminate()


@pytest.mark.parametrize(
    ("tab", "wanted"),
    [
        ("scalars", ["experiment", "trial_00", "trial_19", "train", "val", "utilisation"]),
        ("custom_scalars", ["population", "score", "generation spread", "utilisation by kind"]),
        ("hparams", ["lr", "lr (last)", "momentum (last)", "val/acc", "trial_00", "trial_19"]),
        ("text", ["config", "winner", "name: resnet18", "run"]),
    ],
)
def test_the_tabs_are_filled(address: str, tab: str, wanted: list[str]) -> None:
    with opened_page() as page:
        problems: list[str] = []
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.goto(f"{address}#{tab}")
        deadline_s = time.monotonic() + PATIENCE_S
        missing = wanted
        while missing and time.monotonic() < deadline_s:
            time.sleep(0.25)
            text = all_text(page)
            missing = [words for words in wanted if words not in text]
        assert missing == []
        assert problems == []


def test_the_values_of_a_trial_stand_in_its_row(address: str) -> None:
    first = make_plan(20).initial_hyperparameters(7)
    with opened_page() as page:
        page.goto(f"{address}#hparams")
        deadline_s = time.monotonic() + PATIENCE_S
        shown = f"{first['lr']:.5g}"
        while shown not in (text := all_text(page)) and time.monotonic() < deadline_s:
            time.sleep(0.25)
        row = text[text.index("trial_07") :]
        assert shown in row[: row.index("trial_08")]
