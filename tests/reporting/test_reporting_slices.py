"""slices.csv: what is written is read back exactly, torn or widened or taken up again."""

from __future__ import annotations

import logging
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reporting_play import WORKERS, Play, make_plan

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.records import SLICE_COLUMNS, SliceRecord
from hrfs.reporting import History, SliceCsv, read_slices
from hrfs.reporting.cells import decode_value, encode_value

numbers = st.floats(allow_nan=False)
line = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")))
values = st.one_of(st.none(), st.booleans(), st.integers(), numbers, st.text(), st.lists(numbers))
records = st.builds(
    SliceRecord,
    slice=st.integers(0, 10**6),
    trial=st.integers(0, 999),
    worker=line,
    start_s=numbers,
    end_s=numbers,
    from_iteration=st.integers(0, 10**6),
    to_iteration=st.integers(0, 10**6),
    worker_kind=line,
    score=st.none() | numbers,
    reason=line,
    parent=st.none() | st.integers(0, 999),
    load_s=numbers,
    wait_s=numbers,
    metrics=st.dictionaries(st.sampled_from(["val/acc", "score", "hp/x", "metric/y"]), numbers),
    hyperparameters=st.dictionaries(st.sampled_from(["lr", "score", "act"]), values),
)


def record(number: int = 0, **changes: object) -> SliceRecord:
    base = {"slice": number, "trial": 0, "worker": "w", "start_s": 0.1, "end_s": 0.3}
    return SliceRecord(**base | {"from_iteration": 0, "to_iteration": 5} | changes)  # type: ignore[arg-type]


def write(path: Path, *rows: SliceRecord) -> None:
    writer = SliceCsv(path)
    writer.on_start(make_plan(), WORKERS)
    for row in rows:
        writer.on_slice(row)
    writer.on_end(1.0)


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=12, deadline=None
)
@given(st.lists(records, max_size=4))
def test_any_records_come_back_exactly(tmp_path: Path, rows: list[SliceRecord]) -> None:
    path = tmp_path / "slices.csv"
    path.unlink(missing_ok=True)
    write(path, *rows)
    assert read_slices(path) == rows


def test_a_played_run_comes_back_and_begins_with_the_seven_columns(tmp_path: Path) -> None:
    history, path = History(), tmp_path / "slices.csv"
    Play([history, SliceCsv(path)]).run()
    back = read_slices(path)
    assert len(back) == len(history.records) > 10
    assert [r for r in back if r.score == r.score] == [
        r for r in history.records if r.score == r.score
    ]
    header = path.read_text().splitlines()[0].split(",")
    assert tuple(header[:7]) == SLICE_COLUMNS
    assert header[7:16] == [
        *("worker_kind", "score", "reason", "parent"),
        *("load_s", "train_s", "evaluate_s", "save_s", "wait_s"),
    ]
    assert header[16:] == [
        *("val/acc", "val/loss", "train/loss"),
        *("hp/lr", "hp/momentum", "hp/weight_decay"),
    ]


def test_nan_none_and_infinity_are_told_apart(tmp_path: Path) -> None:
    path = tmp_path / "slices.csv"
    write(path, record(score=math.nan), record(1, score=None), record(2, score=-math.inf))
    scores = [r.score for r in read_slices(path)]
    assert scores[0] is not None
    assert math.isnan(scores[0])
    assert scores[1:] == [None, -math.inf]


def test_every_line_is_on_the_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "slices.csv"
    writer = SliceCsv(path)
    writer.on_start(make_plan(), WORKERS)
    assert path.read_text().startswith("slice,trial")
    for number in range(3):
        writer.on_slice(record(number))
        assert [r.slice for r in read_slices(path)] == list(range(number + 1))


def test_a_new_metric_widens_the_file_and_keeps_the_old_lines(tmp_path: Path) -> None:
    path = tmp_path / "slices.csv"
    rows = [
        record(0, metrics={"a": 1.0}, hyperparameters={"lr": 0.1}),
        record(1, metrics={"b": 2.0}, hyperparameters={"lr": 0.1, "depth": 3}),
        record(2, metrics={"a": 0.1 + 0.2}),
    ]
    write(path, *rows)
    assert read_slices(path) == rows
    header = path.read_text().splitlines()[0]
    assert header.endswith("wait_s,a,b,hp/lr,hp/momentum,hp/weight_decay,hp/depth")


def test_a_torn_last_line_is_left_out_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "slices.csv"
    write(path, record(0), record(1))
    path.write_bytes(path.read_bytes()[:-3])
    with caplog.at_level(logging.WARNING, logger="hrfs"):
        assert [r.slice for r in read_slices(path)] == [0]
    assert "left out 1 truncated line" in caplog.text


def test_a_restored_run_goes_on_in_the_same_file(tmp_path: Path) -> None:
    path = tmp_path / "slices.csv"
    write(path, record(0, metrics={"old": 1.0}), record(1))
    path.write_bytes(path.read_bytes()[:-3])
    write(path, record(1), record(2, metrics={"new": 2.0}))
    back = read_slices(path)
    assert [r.slice for r in back] == [0, 1, 2]
    assert back[0].metrics == {"old": 1.0}
    assert back[2].metrics == {"new": 2.0}


def test_seven_columns_are_enough(tmp_path: Path) -> None:
    path = tmp_path / "golden.csv"
    path.write_text(",".join(SLICE_COLUMNS) + "\n3,1,cpu0,0.5,2.5,0,25\n")
    assert read_slices(path) == [
        SliceRecord(3, 1, "cpu0", start_s=0.5, end_s=2.5, from_iteration=0, to_iteration=25)
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"is no slices\.csv: its first line must begin with the columns slice, trial"),
        (b"\xff\xfe\x00", r"is no slices\.csv"),
        (b"trial,slice\n1,2\n", r"is no slices\.csv"),
        (",".join(SLICE_COLUMNS).encode() + b"\n1,2\n", r"line 2 has 2 cells where the header"),
        (",".join(SLICE_COLUMNS).encode() + b"\n1,2,w,x,1,0,5\n", r"line 2 cannot be read: .*'x'"),
    ],
)
def test_a_foreign_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "slices.csv"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message):
        read_slices(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="there is no such file"):
        read_slices(tmp_path / "slices.csv")


def test_a_foreign_file_is_not_written_over(tmp_path: Path) -> None:
    path = tmp_path / "slices.csv"
    path.write_text("precious\n")
    with pytest.raises(ConfigError, match=r"is no slices\.csv"):
        write(path, record())
    assert path.read_text() == "precious\n"


def test_line_breaks_in_a_reason_do_not_break_the_line(tmp_path: Path) -> None:
    path = tmp_path / "slices.csv"
    write(path, record(reason="out of\nmemory\r\nhere"))
    assert read_slices(path)[0].reason == "out of memory here"


@pytest.mark.parametrize("value", ["relu", "0.1", "", "true", "a\nb", 0.1 + 0.2, 10**20, [1, "x"]])
def test_values_keep_their_type(value: object) -> None:
    assert decode_value(encode_value(value)) == value
    assert type(decode_value(encode_value(value))) is type(value)


def test_numpy_values_become_plain_ones() -> None:
    assert encode_value(np.float64(0.1)) == "0.1"
    assert encode_value(np.int32(3)) == "3"
    assert encode_value(np.bool_(True)) == "true"
