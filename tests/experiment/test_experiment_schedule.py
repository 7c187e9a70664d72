"""The file of a winner's hyperparameters: what is written is read back, all else is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.schedule import (
    FORMAT,
    Schedule,
    Stretch,
    encode_schedule,
    parse_schedule,
    read_schedule,
    write_schedule,
)

TWO = Schedule(
    (
        Stretch(0, 40, 2, {"lr": 0.1, "depth": 3, "word": "relu", "none": None, "list": [1, 0.5]}),
        Stretch(40, 100, 5, {"lr": 0.08, "nesterov": True}),
    ),
    metric="val/acc",
    score=0.97,
    seed=3,
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**53), 2**53),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
)
VALUES = st.dictionaries(st.text(), st.one_of(SCALARS, st.lists(SCALARS, max_size=3)), max_size=3)


def test_written_and_read_back(tmp_path: Path) -> None:
    write_schedule(tmp_path / "s.json", TWO)
    assert read_schedule(tmp_path / "s.json") == TWO
    told = json.loads((tmp_path / "s.json").read_text())
    assert told["kind"] == "hrfs.schedule"
    assert told["format"] == FORMAT
    assert told["stretches"][1] == {
        "from_iteration": 40,
        "to_iteration": 100,
        "trial": 5,
        "hyperparameters": {"lr": 0.08, "nesterov": True},
    }


@given(st.lists(st.tuples(st.integers(1, 50), st.integers(0, 9), VALUES), min_size=1, max_size=4))
def test_any_schedule_is_read_back_exactly(parts: list[tuple[int, int, dict[str, Any]]]) -> None:
    stretches, at = [], 0
    for iterations, trial, values in parts:
        stretches.append(Stretch(at, at + iterations, trial, values))
        at += iterations
    schedule = Schedule(tuple(stretches))
    back = parse_schedule(json.loads(encode_schedule(schedule)), "it")
    assert back == schedule
    assert repr(back) == repr(schedule)  # 1 is neither 1.0 nor True


def test_which_stretch_a_step_is_in() -> None:
    assert [TWO.at(step).trial for step in (0, 39, 40, 99, 100, 5000)] == [2, 2, 5, 5, 5, 5]
    assert TWO.iterations == 100
    with pytest.raises(ValueError, match="iteration=-1: must be at least 0"):
        TWO.at(-1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda told: told.pop("kind"), '"kind" must be "hrfs.schedule"'),
        (lambda told: told.update(format=2), "is of format 2, and this hrfs reads those up to 1"),
        (lambda told: told.update(format="1"), "\"format\" must be a whole number, and is '1'"),
        (lambda told: told.update(more=1), "more Unexpected keyword argument"),
        (lambda told: told["stretches"].clear(), "stretches Tuple should have at least 1 item"),
        (lambda told: told.pop("stretches"), "stretches Field required"),
        (
            lambda told: told["stretches"][1].update(from_iteration=41),
            "stretches[1].from_iteration=41: must be 40, where the stretch before ends",
        ),
        (
            lambda told: told["stretches"][1].update(to_iteration=40),
            "stretches[1].to_iteration=40: must be above its from_iteration=40",
        ),
        (
            lambda told: told["stretches"][0].update(trial="2"),
            "stretches.0.trial Input should be a valid integer",
        ),
        (
            lambda told: told["stretches"][0]["hyperparameters"].update(lr={"a": 1}),
            "stretches.0.hyperparameters.lr",
        ),
        (
            lambda told: told["stretches"][0]["hyperparameters"].update(lr=float("nan")),
            "stretches.0.hyperparameters.lr",
        ),
    ],
)
def test_what_is_no_schedule_is_refused(change: Callable[[Any], Any], message: str) -> None:
    told = json.loads(encode_schedule(TWO))
    change(told)
    with pytest.raises(ConfigError) as caught:
        parse_schedule(told, "FILE")
    assert str(caught.value).startswith("schedule=FILE: ")
    assert message in str(caught.value)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no such file; give a winner_schedule\.json"):
        read_schedule(tmp_path / "none.json")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_schedule(tmp_path)
    for junk in (b"", b"{", b"\xff\xfe", b"[" * 100_000):
        (tmp_path / "junk.json").write_bytes(junk)
        with pytest.raises(ConfigError, match="is no JSON"):
            read_schedule(tmp_path / "junk.json")


def test_what_cannot_be_written() -> None:
    for bad in (float("nan"), float("inf"), object()):
        with pytest.raises(ValueError, match=r"cannot be written|not JSON compliant"):
            encode_schedule(Schedule((Stretch(0, 1, 0, {"lr": bad}),)))  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="there must be one at least"):
        Schedule(())
