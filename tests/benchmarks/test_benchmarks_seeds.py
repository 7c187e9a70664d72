"""The benchmark of seeds that share a cluster: sharing is never slower, and what it prints."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from benchmarks.scheduling.suites import design, golden, slow_many
from benchmarks.seeds import SAME, compare, demo, main, workload_of
from hrfs.core.policies import POLICIES
from hrfs.simulator.spec import Workload

ROOT = Path(__file__).parents[2]


def little(workload: Workload) -> Workload:
    """A shorter run of it, without noise."""
    return replace(workload, stop_iteration=300, noise_sigma=0.0)


SPECS = {
    "demo": demo(0),
    **{f"design {n}": little(design(n)) for n in range(4)},
    **{f"slow_many {n}": little(slow_many(n)) for n in range(2)},
    "single_worker": golden()["single_worker"],
}


@pytest.mark.parametrize("name", SPECS)
def test_sharing_a_cluster_is_not_slower_than_one_after_the_other(name: str) -> None:
    found = compare(SPECS[name], "hrfs")
    assert found.shared_s <= found.one_by_one_s * (1 + SAME)
    assert found.shared_idle <= found.one_by_one_idle + SAME


def test_where_workers_are_more_than_trials_sharing_uses_them() -> None:
    """With three populations of 4 trials all 12 workers are of use, with one of them 4 are."""
    twelve = replace(demo(0), trials=4, workers=tuple(
        replace(demo(0).workers[0], name=f"w{n}") for n in range(12)
    ))  # fmt: skip
    found = compare(twelve, "hrfs")
    assert found.ratio < 0.45
    assert found.one_by_one_idle > 0.5 > 0.1 > found.shared_idle


@pytest.mark.parametrize("policy", sorted(POLICIES))
def test_one_population_is_compared_with_itself(policy: str) -> None:
    found = compare(demo(0), policy, seeds=(0,))
    assert found.ratio == 1
    assert found.shared_idle == pytest.approx(found.one_by_one_idle)


def test_the_demo_is_that_of_the_project() -> None:
    workers = yaml.safe_load((ROOT / "conf" / "cluster" / "emulated.yaml").read_text())["emulated"]
    size = yaml.safe_load((ROOT / "conf" / "population" / "demo.yaml").read_text())
    mine: Workload = demo(0)
    assert [(w.name, w.kind) for w in mine.workers] == [(w["name"], w["kind"]) for w in workers]
    slowness = [w.seconds_per_iteration / 0.02 for w in mine.workers]
    assert slowness == pytest.approx([w["slowdown"] for w in workers])
    shape = size["size"], size["stop_iterations"], size["interval_iterations"]
    assert (mine.trials, mine.stop_iteration, mine.interval) == shape


def test_noise_is_asked_for() -> None:
    assert workload_of("design", 3, 0.0).noise_sigma == 0
    assert workload_of("design", 3, 0.1).workers == design(3).workers
    assert workload_of("design", 3, 0.1).noise_sigma == 0.1


def test_the_table(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    main(["--suites", "demo", "--policies", "hrfs", "greedy"])
    rows = [line for line in capsys.readouterr().out.splitlines() if "demo" in line]
    cells = [[cell.strip() for cell in row.strip("│").split("│")] for row in rows]
    assert [cell[:3] for cell in cells] == [["demo", "hrfs", "1"], ["demo", "greedy", "1"]]
    expected = compare(demo(0), "hrfs")
    assert cells[0][3:7] == [f"{expected.ratio:.4f}"] * 3 + ["0%"]
    assert cells[0][7:] == [f"{expected.shared_idle:.1%}", f"{expected.one_by_one_idle:.1%}"]


@pytest.mark.parametrize(
    "arguments", [["--clusters", "0"], ["--noise", "-1"], ["--noise", "nan"], ["--suites", "x"]]
)
def test_bad_arguments_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        main(arguments)


def test_it_runs_as_a_module() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.seeds", "--suites", "demo"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "3 populations: shared / one after the other" in done.stdout
