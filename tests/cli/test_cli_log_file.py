"""A log file that cannot be written is no reason to stop, nor for a traceback per line."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from hrfs.cli.log_file import LogFile

FULL = Path("/dev/full")


def test_a_full_disk_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    if not FULL.exists():
        pytest.skip("there is no /dev/full")
    handler = LogFile(FULL)
    logger = logging.Logger("of the test")
    logger.addHandler(handler)
    for number in range(3):
        logger.warning("line %d", number)
    handler.close()
    said = capsys.readouterr().err
    assert said == "hrfs: /dev/full cannot be written: No space left on device; the run goes on\n"


def test_other_faults_are_pythons_business(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    handler = LogFile(tmp_path / "log")
    logger = logging.Logger("of the test")
    logger.addHandler(handler)
    logger.warning("%d", "no number")
    logger.warning("fine")
    handler.close()
    assert "TypeError" in capsys.readouterr().err
    assert (tmp_path / "log").read_text() == "fine\n"
