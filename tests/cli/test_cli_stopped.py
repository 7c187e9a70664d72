"""What is said, and what a run counts as, whose files could not all be written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from reporting_play import WORKERS, make_plan

from hrfs.cli.stopped import Stopped, stopped_by, tell, unless_summed_up, unless_whole
from hrfs.experiment.errors import StorageError
from hrfs.experiment.launch import Outcome
from hrfs.experiment.records import SliceRecord
from hrfs.reporting import SliceCsv
from hrfs.reporting.unwritten import unwritten

FAULT = StorageError("/out/trials/hrfs-events.jsonl", "No space left on device")
WHOLE = Outcome("finished", 1, 0.5, {"test/acc": 0.4})


@pytest.fixture
def blocked(tmp_path: Path) -> SliceCsv:
    """A writer in whose way a file is."""
    (tmp_path / "out").write_text("in the way")
    writer = SliceCsv(tmp_path / "out" / "slices.csv")
    writer.on_start(make_plan(), WORKERS)
    return writer


def test_a_fault_names_no_winner(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    outcome = stopped_by(FAULT, make_plan())
    assert (outcome.status, outcome.best_trial, outcome.reason) == ("gave up", None, str(FAULT))
    tell(outcome, "hrfs", tmp_path)
    assert capsys.readouterr().err == (
        "hrfs: /out/trials/hrfs-events.jsonl cannot be written: No space left on device; "
        f"free space, then python -m hrfs resume={tmp_path} goes on\n"
    )
    tell(outcome, "ray_pbt", tmp_path)
    assert capsys.readouterr().err.endswith("; free space, then run it anew\n")
    tell(WHOLE, "hrfs", tmp_path)
    assert capsys.readouterr().err == ""


def test_a_run_without_its_records_has_not_finished(blocked: SliceCsv, tmp_path: Path) -> None:
    outcome = unless_whole(WHOLE, [blocked])
    assert isinstance(outcome, Stopped)
    assert (outcome.status, outcome.best_score) == ("gave up", 0.5)
    assert outcome.reason == f"{tmp_path}/out/slices.csv cannot be written: Not a directory"
    interrupted = Outcome("interrupted", None, None, {})
    assert unless_whole(interrupted, [blocked]) is interrupted


def test_a_file_that_is_written_at_last_is_no_fault(blocked: SliceCsv, tmp_path: Path) -> None:
    (tmp_path / "out").unlink()
    blocked.on_slice(SliceRecord(0, 0, "w", 0.1, 0.3, 0, 5))
    assert unwritten([blocked]) == ""
    assert unless_whole(WHOLE, [blocked]) is WHOLE


def test_a_run_without_its_summary_has_not_finished(tmp_path: Path) -> None:
    path, summary = tmp_path / "summary.json", {"status": "finished", "slices": 3}
    for content in (None, '{"status": "fin', json.dumps({**summary, "slices": 2})):
        if content is not None:
            path.write_text(content)
        outcome = unless_summed_up(WHOLE, path, summary)
        assert (outcome.status, outcome.reason) == ("gave up", f"{path} cannot be written")
    path.write_text(json.dumps(summary))
    assert unless_summed_up(WHOLE, path, summary) is WHOLE


def test_a_screen_on_a_full_disk_is_no_reason_to_fail() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    program = "from hrfs.cli.stopped import printing\nwith printing(): print('the summary')"
    root = str(Path(__file__).resolve().parents[2])
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", program],
            stdout=full, stderr=subprocess.PIPE, text=True, check=False,
            env={**os.environ, "PYTHONPATH": root},
        )  # fmt: skip
    assert done.returncode == 0
    assert done.stderr == "hrfs: standard output cannot be written: No space left on device\n"
