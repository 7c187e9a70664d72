"""The event log: what is written is read back, and what a crash or a stranger left is told."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from hrfs.core.events import SliceDone, SliceFailed, TrialAdded, WorkerLeft
from hrfs.core.search_space import Choice, Hyperparameter, Uniform
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.event_log import (
    FORMAT,
    Entry,
    encode_entry,
    encode_header,
    parse_log,
    settings_of,
)
from hrfs.experiment.plan import Plan

PLAN = Plan(4, 20, 5, {"lr": Hyperparameter(Uniform(0.1, 1.0), Choice((0.1, 0.2)))})
SETTINGS = settings_of(PLAN, "hrfs", None)
ENTRIES = [
    Entry(TrialAdded(0.25, 3, {"lr": 0.1 + 0.2}), {"trial_id": "ab_00003"}),
    Entry(SliceDone(1.5, 0, 1.0 / 3.0, 0.5, "/old/trial_03/checkpoint_000000", None)),
    Entry(SliceDone(2.5, 1, 1.0, 0.5, "elsewhere/c", 0.1), {"copy": "/old/trial_01/checkpoint_x"}),
    Entry(SliceFailed(3.0, 2, 'said "no"\nand died'), {"own_failure": True}),
    Entry(WorkerLeft(4.0, "left/cpu:0", "node left is gone")),
    Entry(WorkerLeft(5.0, "w", "it hangs", hung=True), {"kind": "worker hung"}),
]


def written(root: str = "/old") -> bytes:
    return encode_header(SETTINGS) + b"".join(encode_entry(entry, root) for entry in ENTRIES)


def test_what_is_written_is_read_back_below_a_folder_that_was_moved() -> None:
    log = parse_log(written(), "log", "/new")
    assert log.settings == SETTINGS
    assert (log.size, log.torn) == (len(written()), 0)
    events = [entry.event for entry in log.entries]
    assert events[0] == ENTRIES[0].event
    assert events[1] == SliceDone(1.5, 0, 1 / 3, 0.5, "/new/trial_03/checkpoint_000000", None)
    assert log.entries[2].facts == {"copy": "/new/trial_01/checkpoint_x"}
    assert events[3:] == [entry.event for entry in ENTRIES[3:]]
    assert log.entries[3].facts == {"own_failure": True}


def test_a_path_outside_the_folder_stays_as_it_is() -> None:
    outside = Entry(SliceDone(1.0, 0, 1.0, 0.5, "/other/checkpoint_000000"))
    line = encode_entry(outside, "/old")
    (entry,) = parse_log(encode_header(SETTINGS) + line, "log", "/new").entries
    assert entry.event == outside.event


def test_a_log_that_does_not_speak_of_hanging_knows_no_worker_that_hung() -> None:
    older = written().replace(b', "hung": false', b"")
    assert older != written()
    assert parse_log(older, "log", "/old").entries[4].event == ENTRIES[4].event


def test_nan_comes_back() -> None:
    data = encode_header(SETTINGS) + encode_entry(Entry(SliceDone(1.0, 0, 1.0, math.nan)), "/r")
    (entry,) = parse_log(data, "log", "/r").entries
    assert isinstance(entry.event, SliceDone)
    assert entry.event.score is not None
    assert math.isnan(entry.event.score)


def test_wherever_the_last_line_is_torn_only_that_line_is_left_out() -> None:
    data = written()
    whole = data[: data.rindex(b"\n", 0, -1) + 1]
    for cut in range(len(whole) + 1, len(data)):
        log = parse_log(data[:cut], "log", "/old")
        assert len(log.entries) == len(ENTRIES) - 1
        assert (log.size, log.torn) == (len(whole), cut - len(whole))


def test_zeros_that_a_dead_machine_left_are_a_torn_line() -> None:
    log = parse_log(written() + bytes(40) + b"\n", "log", "/old")
    assert len(log.entries) == len(ENTRIES)
    assert log.torn == 41


def test_a_line_in_the_middle_that_cannot_be_read_is_told() -> None:
    lines = written().splitlines(keepends=True)
    lines[2] = b'{"event": "SliceDone", "time_s"\n'
    with pytest.raises(ConfigError, match=r"resume=log: line 3 cannot be read; take the file"):
        parse_log(b"".join(lines), "log", "/old")


@pytest.mark.parametrize(
    "line",
    [b'{"event": "Reboot", "time_s": 1}', b'{"event": "Tick"}', b"[1]", b'{"event": ["Tick"]}'],
)
def test_a_line_that_is_no_event_is_told(line: bytes) -> None:
    with pytest.raises(ConfigError, match="line 2 cannot be read"):
        parse_log(encode_header(SETTINGS) + line + b"\n" + b"{}\n", "log", "/old")


def test_a_newer_format_is_refused() -> None:
    header = json.dumps({"format": FORMAT + 1, "hrfs": "9.1", "settings": {}}).encode()
    message = f"is in format {FORMAT + 1}, and this hrfs reads up to {FORMAT}; use hrfs 9.1"
    with pytest.raises(ConfigError, match=message):
        parse_log(header + b"\n", "log", "/old")


@pytest.mark.parametrize("data", [b"", b"{}\n", b"slice,trial\n1,2\n3,4\n", b'{"format": true}\n'])
def test_another_file_is_refused(data: bytes) -> None:
    with pytest.raises(ConfigError, match=r"is no event log of a run|cannot be read"):
        parse_log(data, "log", "/old")


def test_a_pickle_is_refused_and_runs_nothing(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    pickle = b"cposix\nsystem\n(S'touch " + str(canary).encode() + b"'\ntR.\n\n"
    with pytest.raises(ConfigError, match="cannot be read"):
        parse_log(pickle, "log", "/old")
    assert not canary.exists()


def test_values_that_json_does_not_know_are_written_all_the_same() -> None:
    np = pytest.importorskip("numpy")
    entry = Entry(TrialAdded(0.0, 0, {"a": np.int64(3), "b": np.float32(0.5), "c": (1, 2)}))
    told = json.loads(encode_entry(entry, "/r"))
    assert told["hyperparameters"] == {"a": 3, "b": 0.5, "c": [1, 2]}
