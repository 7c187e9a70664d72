"""The paper's rule, held against recorded schedules: every row of every file, exactly."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from hrfs.core.fusion import FusionPolicy
from hrfs.core.paper import PaperPolicy
from hrfs.core.policies import POLICIES, make_policy
from hrfs.core.policy import Policy
from hrfs.experiment.records import SLICE_COLUMNS, SliceRecord
from hrfs.simulator.driver import simulate
from hrfs.simulator.spec import Workload

GOLDEN = Path(__file__).parents[1] / "golden"
SPECS = sorted(path.stem for path in GOLDEN.glob("*.json"))
ROWS = {
    "lab_8cpu_1gpu": 499,
    "lab_8cpu_1gpu_noisy": 490,
    "more_workers_than_trials": 55,
    "odd_interval": 32,
    "one_gpu_ten_slow_cpus": 421,
    "one_gpu_twenty_slow_cpus": 620,
    "single_worker": 7,
    "ten_unlike": 451,
    "two_gpu_generations": 408,
    "uniform_four": 102,
}


def _expected(name: str) -> list[dict[str, str]]:
    with (GOLDEN / f"{name}.slices.csv").open(newline="") as stream:
        return list(csv.DictReader(stream))


def _row(record: SliceRecord) -> dict[str, str]:
    """As the files have it; ``repr`` of a float is exact, so equal text is an equal time."""
    return {column: str(getattr(record, column)) for column in SLICE_COLUMNS}


def test_all_recorded_schedules_are_here() -> None:
    assert {name: len(_expected(name)) for name in SPECS} == ROWS


@pytest.mark.parametrize("name", SPECS)
def test_every_row_is_reproduced_exactly(name: str) -> None:
    records = simulate(Workload.read(GOLDEN / f"{name}.json"), PaperPolicy())
    expected = _expected(name)
    assert list(expected[0]) == list(SLICE_COLUMNS)
    assert [_row(record) for record in records] == expected


@pytest.mark.parametrize(("name", "rule"), [("hrfs", FusionPolicy), ("hrfs_paper", PaperPolicy)])
def test_the_rule_is_chosen_by_name(name: str, rule: type[Policy]) -> None:
    assert POLICIES[name] is rule
    assert isinstance(make_policy(name), rule)


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(
        ValueError,
        match=r"^policy='nosuch': must be one of hrfs, hrfs_paper, static, fastest_only, greedy$",
    ):
        make_policy("nosuch")
