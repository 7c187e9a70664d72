"""The event log on local and other storage, and what a later driver finds in a trial's folder."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from hrfs.core.events import SliceDone, Tick
from hrfs.experiment.event_log import EVENTS_NAME, Entry
from hrfs.tuning.journal import Journal, read_journal
from hrfs.tuning.lineage import inherit_policy
from hrfs.tuning.retention import Retention


@pytest.fixture(params=["local", "other"])
def trial(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """What of a trial of Tune's is looked at; ``other`` is a storage that cannot append."""
    (tmp_path / "exp").mkdir()
    local, root = LocalFileSystem(), str(tmp_path / "exp")
    if request.param == "other":
        local, root = SubTreeFileSystem(str(tmp_path), local), "exp"
    storage = SimpleNamespace(
        storage_filesystem=local,
        experiment_fs_path=root,
        trial_fs_path=f"{root}/trial_00",
        current_checkpoint_index=-1,
    )
    return SimpleNamespace(storage=storage)


def test_a_log_is_gone_on_with_behind_its_last_whole_line(trial: Any, tmp_path: Path) -> None:
    checkpoint = f"{trial.storage.experiment_fs_path}/trial_00/checkpoint_000000"
    first = Journal({"policy": "hrfs"})
    first.write({0: trial})
    assert not (tmp_path / "exp" / EVENTS_NAME).exists(), "nothing has happened"
    first.note(Entry(Tick(1.0)))
    first.write({0: trial})
    first.note(Entry(SliceDone(2.0, 0, 1.0, 0.5, checkpoint)))
    first.write({0: trial})
    log = tmp_path / "exp" / EVENTS_NAME
    assert b'"trial_00/checkpoint_000000"' in log.read_bytes()
    log.write_bytes(log.read_bytes() + b'{"event": "Ti')
    found = read_journal(trial)
    assert found.torn == 13
    second = Journal({"policy": "hrfs"}, found.size)
    second.note(Entry(Tick(3.0)))
    second.write({0: trial})
    found = read_journal(trial)
    assert found.torn == 0
    assert [entry.event.time_s for entry in found.entries] == [1.0, 2.0, 3.0]


def test_what_an_earlier_driver_did_not_keep_goes(trial: Any, tmp_path: Path) -> None:
    folder, root = tmp_path / "exp" / "trial_00", trial.storage.trial_fs_path
    names = ("checkpoint_000003", "checkpoint_000007", "checkpoint_exploit_000001", "other")
    for name in names:
        (folder / name).mkdir(parents=True)
    kept = {0: [f"{root}/checkpoint_000003", f"{root}/checkpoint_exploit_000001"]}
    retention = Retention(kept)
    retention.tidy(0, trial)
    left = sorted(path.name for path in folder.iterdir())
    assert left == ["checkpoint_000003", "checkpoint_exploit_000001", "other"]
    assert trial.storage.current_checkpoint_index == 7, "nothing is written over"
    (folder / "checkpoint_000008").mkdir()
    retention.tidy(0, trial)
    assert (folder / "checkpoint_000008").exists(), "once per trial"


def test_a_new_run_deletes_nothing(trial: Any, tmp_path: Path) -> None:
    (tmp_path / "exp" / "trial_00" / "checkpoint_000003").mkdir(parents=True)
    Retention().tidy(0, trial)
    assert (tmp_path / "exp" / "trial_00" / "checkpoint_000003").exists()


def test_lineage_goes_on_under_the_new_name(tmp_path: Path) -> None:
    (tmp_path / "pbt_policy_old_00007.txt").write_text("line\n")
    (tmp_path / "pbt_policy_old_00008.txt").write_text("other\n")
    inherit_policy(tmp_path, "new_00007")
    inherit_policy(tmp_path, "new_00009")
    assert (tmp_path / "pbt_policy_new_00007.txt").read_text() == "line\n"
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == ["pbt_policy_new_00007.txt", "pbt_policy_old_00008.txt"]
