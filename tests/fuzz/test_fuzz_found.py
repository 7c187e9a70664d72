"""What the fuzzes found once, each with the line that it is answered with now."""

from __future__ import annotations

import json
import math
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from damage import DEEP
from junk import BEYOND_TEXT, HUGE
from omegaconf import OmegaConf
from runs_play import write_run
from test_fuzz_config import composed, outcome

from hrfs.cli.domains import build_search_space
from hrfs.core.search_space import IntRange
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.event_log import parse_log
from hrfs.reporting import read_slices
from hrfs.reporting.aggregate import aggregate
from hrfs.reporting.aggregate_files import check_target
from hrfs.reporting.cells import decode_value
from hrfs.reporting.runs_metrics import check_summary, number
from hydra_plugins.hrfs_ray_tune_launcher._records import Damaged, read_file, started


@pytest.mark.parametrize(
    ("key", "value", "told"),
    [
        ("seed", 2**63, "seed=a whole number of 64 bits: must lie between -9223372036854775807"),
        ("model.lr", -HUGE, "model.lr=a whole number of 1329 bits: must lie between"),
        ("population.target_score", math.inf, "target_score=inf: must be a finite number"),
        ("population.metric", "", "population.metric='': must be a name of printable characters"),
        ("population.metric", "a\nb", r"population.metric='a\nb': must be a name of printable"),
        ("cluster.answer_within_s", math.inf, "must be between 0 and 86400"),
        ("cluster.emulated.0.slowdown", math.inf, "slowdown=inf: must be a finite number"),
        ("cluster.emulated.0.name", "a\tb", r"name='a\tb': must be a name of printable"),
        ("population.search_space.lr.x", 0, "population.search_space.lr.x=: cannot be set (inval"),
        ("seeds", {"a": 1}, "a list cannot take the place of a mapping, nor a mapping that of"),
        ("population", 3, "population=3: must be a mapping, such as {name: value}"),
        ("population.mode", {}, "must be text"),
        ("seed", None, "seed=None: must not be null"),
    ],
)  # fmt: skip
def test_a_value_that_cannot_be(key: str, value: Any, told: str) -> None:
    fault = outcome(composed("experiment", "demo").copy(), [(key, value)])
    assert told in str(fault)


def test_a_whole_number_that_cannot_even_be_written() -> None:
    """In a test of its own: pytest would write it into the name of the test."""
    fault = outcome(composed("experiment", "demo").copy(), [("trainer.threads", BEYOND_TEXT)])
    assert str(fault).startswith("trainer.threads=a whole number of 16610 bits: must lie between")


@pytest.mark.parametrize(
    ("space", "mutations", "told"),
    [
        ({"x": ["int", 0, HUGE]}, {}, "is not a finite number"),
        ({"x": ["int", 0, 2**63]}, {}, "the ends of int must fit into 64 bits"),
        ({"x": ["int", -1e300, 5]}, {}, "the ends of int must fit into 64 bits"),
        ({"x": ["uniform", -1e308, 1e308]}, {}, "low and high are too far apart"),
        ({"a\nb": ["uniform", 0, 1]}, {}, r"search_space='a\nb': must be a name of printable"),
        ({"x": ["choice", "relu"]}, {"x": ["uniform", 0, 1]},
         "mutations.x=[uniform, 0, 1]: cannot move 'relu', which is no finite number; mutate it"),
        ({"x": ["choice", math.nan]}, {"x": ["int", 0, 1]}, "cannot move nan, which is no finite"),
        ({"x": ["choice", True]}, {"x": ["uniform", 0, 1]}, "cannot move True, which is no"),
    ],
)  # fmt: skip
def test_a_range_that_cannot_be(
    space: dict[str, Any], mutations: dict[str, Any], told: str
) -> None:
    with pytest.raises(ConfigError, match=re.escape(told)):
        build_search_space(space, mutations)


def test_a_number_beyond_all_ranges_is_brought_into_one() -> None:
    moved, _ = IntRange(1, 9).perturb(1.7e308, np.random.default_rng(1))  # type: ignore[arg-type]
    assert moved == 9


@pytest.mark.parametrize("more", ["\r,", "x" * 200_000])
def test_slices_that_are_no_table(tmp_path: Path, more: str) -> None:
    path = tmp_path / "slices.csv"
    path.write_text(f"slice,trial\n0,{more}\n", newline="")
    with pytest.raises(ConfigError, match="cannot be read as a table: "):
        read_slices(path)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
def test_a_number_of_a_job_record_that_is_never_written(tmp_path: Path, number: str) -> None:
    record = started("p", 0, [], OmegaConf.create({})).ended("COMPLETED", [0.125])
    path = tmp_path / "job_0.json"
    path.write_text(record.model_dump_json().replace("0.125", number))
    found = read_file(path)
    assert isinstance(found, Damaged)
    assert "the return value has a number that is never written as such" in found.reason


def test_a_cell_that_is_nested_too_deeply_is_a_word() -> None:
    assert decode_value(DEEP.decode()) == DEEP.decode()


def test_a_summary_that_is_nested_too_deeply(tmp_path: Path) -> None:
    write_run(tmp_path / "0")
    (write_run(tmp_path / "1", seed=1) / "summary.json").write_bytes(DEEP)
    found = aggregate([tmp_path])
    assert [run.reason[:35] for run in found.left_out] == ["its summary.json cannot be read (ma"]
    (tmp_path / "summary.json").write_bytes(DEEP)
    with pytest.raises(ConfigError, match=r"has a summary.json of something else"):
        check_target(tmp_path)


@pytest.mark.parametrize("date", [b"at: 2020-13-45", b"at: " + b"1" * 5000])
def test_a_config_with_a_value_that_yaml_cannot_make(tmp_path: Path, date: bytes) -> None:
    write_run(tmp_path / "0")
    (write_run(tmp_path / "1", seed=1) / "config.yaml").write_bytes(date)
    found = aggregate([tmp_path])
    assert [run.reason[:31] for run in found.left_out] == ["its config.yaml cannot be read "]


@pytest.mark.parametrize("value", [1e151, -1e151, HUGE, math.nan, math.inf, True, "1"])
def test_no_figure(value: Any) -> None:
    assert number(value) is None


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"target_score": []}, "its target_score is no number"),
        ({"target_score": HUGE}, "its target_score is no number"),
        ({"mode": 3}, "its mode is no word"),
        ({"metric": None}, "its metric is no word"),
    ],
)
def test_a_plan_that_cannot_be(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    summary = json.loads((write_run(tmp_path / "0") / "summary.json").read_bytes())
    assert check_summary(summary) == ""
    summary["plan"] |= change
    assert check_summary(summary) == told


def test_a_checkpoint_that_is_no_path_in_an_event_log() -> None:
    header = b'{"format": 1, "settings": {}}\n'
    event = b'{"event": "SliceDone", "time_s": 1, "slice": 0, "duration_s": 1, "score": 1, '
    with pytest.raises(ConfigError, match="line 2 cannot be read"):
        parse_log(header + event + b'"checkpoint": 5, "overhead_s": null}\n', "log", "/run")
    with pytest.raises(ConfigError, match="line 2 cannot be read"):
        parse_log(header + DEEP + b"\n" + header, "log", "/run")
