"""Saves that fail: one worker's fault, or the disk's, and never the trial's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from disk_toys import FullDisk
from harness import Watch, make_plan, named

from hrfs.experiment.errors import StorageError
from hrfs.experiment.event_log import EVENTS_NAME, parse_log

pytestmark = [pytest.mark.ray, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.soak
def test_a_worker_that_alone_cannot_save_is_taken_out(run_counter: Callable[..., Any]) -> None:
    scheduler, watch, _ = run_counter(
        make_plan(),
        named("fast", "middle"),
        trainable=FullDisk,
        constants={"full_on": ["middle"], "seconds": 0.1},
        policy="hrfs",
        max_failures=0,
    )
    assert watch.iterations() == dict.fromkeys(range(6), 60)
    assert set(watch.ended.values()) == {"all iterations done"}
    assert {record.worker.partition("/")[0] for record in watch.slices} == {"fast"}
    told = {(str(f.worker).partition("/")[0], f.kind) for f in watch.failures}
    assert told == {("middle", "storage")}
    assert [worker.partition("/")[0] for worker in watch.left[:1]] == ["middle"]
    assert scheduler._context.memory.own_failures == {}


def test_a_disk_that_no_worker_can_write_ends_the_run(
    run_counter: Callable[..., Any], tmp_path: Path
) -> None:
    watch = Watch()
    with pytest.raises(StorageError) as raised:
        run_counter(
            make_plan(),
            named("fast", "middle"),
            watch,
            trainable=FullDisk,
            constants={"full_on": ["fast", "middle"]},
            max_failures=0,
        )
    assert Path(raised.value.path).name == "state.json"
    assert "saves in a row failed, on every worker" in str(raised.value)
    assert watch.slices == []
    assert watch.ended == {}
    root = tmp_path / "trials"
    log = parse_log((root / EVENTS_NAME).read_bytes(), "log", str(root))
    assert log.torn == 0
    assert not any(entry.facts.get("own_failure") for entry in log.entries)
