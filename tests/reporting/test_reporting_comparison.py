"""Runs held against each other, seed by seed, on folders whose figures are known."""

from __future__ import annotations

import json
import math
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from comparison_folders import write_run
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from scipy import stats

from hrfs.experiment.errors import ConfigError
from hrfs.reporting.comparison import Comparison, compare
from hrfs.reporting.comparison_files import as_csv, as_json, write_comparison
from hrfs.reporting.comparison_pairs import pair, signed_rank
from hrfs.reporting.comparison_table import as_markdown, on_screen

BY = "scheduler.policy"
ONLY_GPU = {"g0": 40.0, "c0": None, "c1": None}


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """hrfs takes 1/2 of ray_pbt's time at seed 0, 1/3 at 1 and 1/4 at 2; seed 7 has no partner."""
    for seed in range(3):
        write_run(tmp_path / f"h{seed}", "hrfs", seed, 420.0, 0.9 + seed / 100, 100.0 + seed)
        target_s = None if seed == 2 else 300.0
        write_run(tmp_path / f"r{seed}", "ray_pbt", seed, 420.0 * (seed + 2), 0.89,
                  target_s, ONLY_GPU, busy=(1.0, 0.0, 0.0))  # fmt: skip
    write_run(tmp_path / "h7", "hrfs", 7, 1.0)
    return tmp_path


def figures(found: Comparison) -> dict[str, object]:
    """By metric, of the first contest."""
    return {figure.metric: figure for figure in found.contests[0].figures}


def test_times_are_paired_as_ratios(sweep: Path) -> None:
    found = compare([sweep], BY)
    assert (found.baseline, found.by) == ("ray_pbt", "scheduler.policy")
    (contest,) = found.contests
    assert (contest.contender, contest.seeds) == ("hrfs", (0, 1, 2))
    assert contest.left_out == {7: "hrfs"}
    figure = figures(found)["makespan_s"]
    assert (figure.mine.mean, figure.theirs.mean) == (420.0, 420.0 * 3)
    assert figure.difference.mean == pytest.approx(-420.0 * 2)
    logs = np.log([2, 3, 4])
    half = stats.t.ppf(0.975, 2) * logs.std(ddof=1) / math.sqrt(3)
    assert figure.ratio.mean == pytest.approx(24 ** (1 / 3))
    assert figure.ratio.low == pytest.approx(math.exp(logs.mean() - half))
    assert figure.ratio.high == pytest.approx(math.exp(logs.mean() + half))
    assert (figure.test.p, figure.test.least_p) == (0.25, 0.25)


def test_a_target_counts_where_both_reached_it(sweep: Path) -> None:
    found = compare([sweep], BY)
    (contest,) = found.contests
    assert contest.reached == (3, 2)
    figure = figures(found)["time_to_target_s"]
    assert figure.seeds == (0, 1)
    assert (figure.mine.mean, figure.theirs.mean) == (100.5, 300.0)


def test_scores_are_paired_as_differences(sweep: Path) -> None:
    best = figures(compare([sweep], BY))["best"]
    assert best.ratio is None
    assert best.difference.mean == pytest.approx(0.02)
    half = stats.t.ppf(0.975, 2) * 0.01 / math.sqrt(3)
    assert best.difference.low == pytest.approx(0.02 - half)
    assert {"winner", "test/acc", "iterations", "utilisation", "ratio"} <= set(
        figures(compare([sweep], BY))
    )


def test_the_whole_cluster_is_known_from_whoever_used_it(sweep: Path) -> None:
    """20 trials of 1000 on speeds 40, 5, 5: C* = 20000 / 50, whatever the baseline measured."""
    cluster = compare([sweep], BY).contests[0].cluster
    assert cluster.bound_s == pytest.approx(400.0)
    assert cluster.mine_ratio == pytest.approx(420 / 400)
    assert cluster.theirs_ratio == pytest.approx(3 * 420 / 400)
    assert cluster.ceiling == pytest.approx(1.25)


def test_workers_and_requests(sweep: Path) -> None:
    found = compare([sweep], BY)
    (contest,) = found.contests
    assert [(w.name, w.mine, w.theirs) for w in contest.workers] == [
        ("g0", pytest.approx(0.9), 1.0),
        ("c0", pytest.approx(0.5), 0.0),
        ("c1", pytest.approx(0.4), 0.0),
    ]
    assert found.requests == {"{CPU: 1, GPU: 1} on 1 gpu worker": 3}


def test_several_contenders_and_another_baseline(sweep: Path) -> None:
    for seed in range(2):
        write_run(sweep / f"p{seed}", "hrfs_paper", seed, 500.0)
    found = compare([sweep], BY)
    assert [contest.contender for contest in found.contests] == ["hrfs", "hrfs_paper"]
    assert found.contests[1].left_out == {2: "ray_pbt"}
    turned = compare([sweep], BY, baseline="hrfs_paper")
    assert {contest.contender for contest in turned.contests} == {"hrfs", "ray_pbt"}


def test_any_one_key(tmp_path: Path) -> None:
    for stem, makespan_s in (("imagenet", 100.0), ("cifar", 300.0)):
        write_run(tmp_path / stem, "hrfs", 0, makespan_s, model__stem=stem)
    found = compare([tmp_path], by="model.stem")
    assert found.baseline == "cifar"  # the folder that comes first
    assert figures(found)["makespan_s"].difference.mean == -200.0


def test_what_cannot_be_compared_is_named(sweep: Path) -> None:
    write_run(sweep / "s", "hrfs", 5, 300.0, status="interrupted")
    write_run(sweep / "r5", "ray_pbt", 5, 300.0)
    (sweep / "torn" / ".hydra").mkdir(parents=True)
    found = compare([sweep], BY)
    assert found.contests[0].seeds == (0, 1, 2)
    assert any("it is interrupted, so it has no makespan" in note for note in found.notes)
    assert any("torn" in note for note in found.notes)


def test_sheets(sweep: Path) -> None:
    found = compare([sweep], BY)
    text = as_markdown(found)
    for line in (
        "## hrfs against ray_pbt: 3 seeds (0, 1, 2)",
        "| time to same budget (s) | 420 | 1260 | -840 [-1880, 203] | 2.884 [1.21, 6.85] | 0.25 |",
        "| time to 0.8 (s), 2 pairs | 100.5 | 300 | -199.5 [-206, -193] |",
        "| iterations done | 20000 | 20000 | 0 |  | - |",
        "| utilisation | 60 % | 33 % | 27 % |  | 0.25 |",
        "| makespan / C*, all workers | 1.05 | 3.15 |",
        "0.8 was reached by hrfs in 3 of 3 seeds, by ray_pbt in 2.",
        "| c0 | cpu | 50 % | 50 % | 0 % | 100 % |",
        "3 pairs can give no less than 0.25, so none is below 0.05 whatever the runs.",
        "Left out, since only one side has it: seed 7 (hrfs).",
        "All speeds / GPU speeds is 1.25",
        "Under ray_pbt every trial asked for {CPU: 1, GPU: 1} on 1 gpu worker (3 runs).",
    ):
        assert line in text
    assert "emulated" not in text
    screen = Console(width=100)
    with screen.capture() as captured:
        screen.print(on_screen(found))
    shown = captured.get()
    assert "  2.884 [1.21, 6.85]  0.25" in shown
    assert max(map(len, shown.splitlines())) <= 100


def test_emulated_devices_are_told(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "hrfs", 0, 1.0, emulated=True)
    write_run(tmp_path / "b", "ray_pbt", 0, 2.0, emulated=True)
    text = as_markdown(compare([tmp_path], BY))
    assert "The workers were emulated: times are about schedules, not about devices." in text


def test_files(sweep: Path, tmp_path: Path) -> None:
    found = compare([sweep], BY)
    told = as_json(found)
    assert told["contests"][0]["figures"]["makespan_s"]["ratio"]["mean"] == pytest.approx(
        24 ** (1 / 3)
    )
    header, first, *_ = as_csv(found).splitlines()
    row = dict(zip(header.split(","), first.split(","), strict=True))
    assert (row["contender"], row["metric"], row["p"]) == ("hrfs", "makespan_s", "0.25")
    assert float(row["difference"]) == pytest.approx(-840)
    written = write_comparison(tmp_path / "new" / "out", found)
    assert [path.suffix for path in written] == [".json", ".csv", ".md"]
    assert json.loads(written[0].read_text())["baseline"] == "ray_pbt"


# Bad input


def test_bad_input_is_told_in_one_line(sweep: Path, tmp_path: Path) -> None:
    for folders, by, baseline, message in (
        ([tmp_path / "none"], "scheduler.policy", None, "folder=.*none: there is no such folder"),
        ([sweep / "h0"], "scheduler.policy", None,
         "folder=.*h0: all 1 finished runs have scheduler.policy=hrfs; a comparison needs two"),
        ([sweep], "scheduler.policy", "static",
         "baseline=static: no finished run has scheduler.policy=static; there are hrfs, ray_pbt"),
        ([sweep], "scheduler.polcy", None, "by=scheduler.polcy: is no key of "),
        ([sweep], "scheduler", None, "by=scheduler: is a group of keys: max_staleness, policy, "),
        ([sweep / "h0", sweep / "r1"], "scheduler.policy", None,
         "baseline=ray_pbt: has no seed in common with hrfs; ray_pbt has 1, hrfs has 0"),
        ([sweep / "h0", sweep / "h1"], "model.stem", None, "all 2 finished runs have model.stem"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=message) as caught:
            compare(folders, by, baseline)
        assert len(str(caught.value).splitlines()) == 1


def test_other_differences_are_named(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "hrfs", 0, 1.0, model__stem="cifar", model__network="resnet50")
    write_run(tmp_path / "b", "ray_pbt", 0, 2.0)
    with pytest.raises(
        ConfigError, match=r"by=scheduler\.policy: other keys differ between the runs: "
        r"model\.network, model\.stem; compare runs that differ in one key"
    ):  # fmt: skip
        compare([tmp_path], BY)


def test_what_comes_with_a_value_belongs_to_it(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "hrfs", 0, 1.0, model__network="small_resnet", model__width=8)
    write_run(tmp_path / "b", "hrfs", 0, 2.0)
    assert compare([tmp_path], "model.network").baseline == "small_resnet"
    write_run(tmp_path / "c", "ray_pbt", 1, 2.0, scheduler__request="gpu")
    write_run(tmp_path / "d", "hrfs", 1, 2.0)
    assert compare([tmp_path / "c", tmp_path / "d"], BY).baseline == "ray_pbt"
    write_run(tmp_path / "e", "hrfs", 0, 2.0, population__size=10, population__stop_iterations=9)
    rule = r"by=population\.size: other key differs between the runs: population\.stop_iterations;"
    with pytest.raises(ConfigError, match=rule):
        compare([tmp_path / "b", tmp_path / "e"], "population.size")


def test_two_ways_of_one_value_are_refused(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "hrfs", 0, 1.0, scheduler__max_staleness=100)
    write_run(tmp_path / "b", "hrfs", 0, 2.0)
    write_run(tmp_path / "c", "ray_pbt", 0, 2.0)
    rule = "scheduler.policy=hrfs has more than one run of seed 0, in .* which differ in scheduler"
    with pytest.raises(ConfigError, match=rule):
        compare([tmp_path], BY)


def test_nothing_finished(tmp_path: Path) -> None:
    write_run(tmp_path / "a", "hrfs", 0, None, status="gave up")
    with pytest.raises(ConfigError, match="has no finished run; let the runs come to their end"):
        compare([tmp_path], BY)


# The test of Wilcoxon


@pytest.mark.parametrize(("n", "least"), [(1, 1.0), (5, 0.0625), (6, 0.03125)])
def test_all_on_one_side_is_the_least_p(n: int, least: float) -> None:
    found = signed_rank([float(i) for i in range(1, n + 1)])
    assert (found.p, found.least_p, found.method) == (pytest.approx(least), least, "exact")


def test_nothing_differs() -> None:
    found = signed_rank([0.0, 0.0])
    assert (found.pairs, found.p, found.least_p) == (0, None, None)


def test_more_pairs_with_ties_are_drawn() -> None:
    found = signed_rank([1.0, -1.0] * 10)
    assert found.method == "of 9999 drawn signs, with ties"
    assert found.p == pytest.approx(1.0)


def _by_enumeration(differences: list[int]) -> float:
    """Share of all signs whose sum of positive ranks lies as far from its mean."""
    known = [d for d in differences if d]
    ranks = stats.rankdata(np.abs(known))
    mean = ranks.sum() / 2
    seen = abs(ranks[np.array(known) > 0].sum() - mean)
    sums = [ranks[np.array(s) > 0].sum() for s in product((-1, 1), repeat=len(known))]
    return float(np.mean([abs(value - mean) >= seen - 1e-9 for value in sums]))


@given(st.lists(st.integers(-6, 6), min_size=1, max_size=7).filter(any))
def test_p_is_the_share_of_all_signs(differences: list[int]) -> None:
    found = signed_rank([float(d) for d in differences])
    assert found.p == pytest.approx(_by_enumeration(differences))
    assert found.p >= found.least_p - 1e-12


def test_a_seed_without_a_value_is_no_pair() -> None:
    found = pair("makespan_s", {0: 1.0, 1: None, 2: 3.0}, {0: 2.0, 1: 5.0}, is_time=True)
    assert found.seeds == (0,)
    assert found.ratio.mean == pytest.approx(2.0)
    assert found.ratio.low is None
