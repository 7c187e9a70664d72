"""Every file that matters is written by :mod:`hrfs.experiment.files`, whole or not at all."""

from __future__ import annotations

from pathlib import Path

from writes import writes

ROOT = Path(__file__).resolve().parents[2]
FILES = "hrfs/experiment/files.py"
REVIEWED = {
    "hrfs/tuning/transfer.py: _link_tree: shutil.copytree": "hard links to files that are whole",
    "hrfs/tuning/transfer.py: _link_or_copy: os.link": "the same",
    "hrfs/tuning/transfer.py: _link_or_copy: shutil.copy2": "a storage without links; not used "
    "before the event log names it, and its checksum is verified",
    "hrfs/tuning/trust.py: _make_token: tempfile.mkstemp": "a secret: readable by its user alone",
    "hrfs/tuning/trust.py: _make_token: os.fdopen": "the same",
    "hrfs/tuning/trust.py: _make_token: .hardlink_to": "the same; of two runs one makes it",
    "hrfs/tuning/fallback.py: _check: tempfile.NamedTemporaryFile": "a copy to look at",
    "hrfs/tuning/fence.py: fence_off: .open": "a name that counts under its lock alone",
    "hrfs/tuning/lease.py: lease_worker: .open": "an empty file to be locked",
    "hrfs/reporting/report/to_matplotlib.py: draw: .savefig": "into memory",
    "hrfs/cli/folder.py: hold: .open": "to be locked; nothing is written",
    "hrfs/cli/sweep_retry.py: only_job_in: .open": "an empty file to be locked",
    "hrfs/cli/sweep_retry.py: set_aside: .rename": "moves what an earlier attempt left",
    "hrfs/training/state.py: write_contents: torch.save": "into the stream of a checkpoint",
    "hydra_plugins/hrfs_ray_tune_launcher/_output.py: output_to: .open": "what a job prints",
}
"""Calls that are right as they are, and why."""


def test_no_file_is_written_past_the_module_for_it() -> None:
    found = [told for told in writes(ROOT) if not told.startswith(FILES)]
    assert sorted(set(found) - set(REVIEWED)) == []


def test_the_reviewed_calls_are_still_there() -> None:
    assert sorted(set(REVIEWED) - set(writes(ROOT))) == []


def test_writing_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "hrfs").mkdir()
    (tmp_path / "hrfs" / "bad.py").write_text(
        "import os, shutil\n"
        "from pathlib import Path\n"
        "def f(p, mode):\n"
        "    open(p, 'w')\n"
        "    p.open(mode='ab')\n"
        "    p.open('r+b' if mode else 'rb')\n"
        "    p.open(mode)\n"
        "    p.write_text('x')\n"
        "    shutil.copyfile(p, p)\n"
        "class Fine:\n"
        "    def g(self, p, text):\n"
        "        open(p), p.open('rb'), text.replace('a', 'b'), os.open(p, os.O_RDONLY)\n"
    )
    assert writes(tmp_path) == [
        f"hrfs/bad.py: f: {call}"
        for call in ["open", ".open", ".open", ".open", ".write_text", "shutil.copyfile"]
    ]
