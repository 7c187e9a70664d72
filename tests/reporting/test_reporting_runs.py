"""Runs read back: which are found, which are whole, what sets them apart."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from runs_play import CONFIG, write_run, write_start

from hrfs.experiment.errors import ConfigError
from hrfs.reporting.runs import find_runs, gather, read_runs
from hrfs.reporting.runs_files import write_failure


def _left_out(folder: Path) -> dict[str, str]:
    return {run.folder.name: run.reason for run in gather([folder]).left_out}


def test_runs_are_found_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for name in ("10", "9", "lr=0.1", ".hidden", "deeper/0"):
        write_start(tmp_path / name)
    (tmp_path / "9" / "trials" / "inner").mkdir(parents=True)
    write_start(tmp_path / "9" / "attempt_1")  # inside a run, so no run of its own
    (tmp_path / "multirun.yaml").write_text("")
    found = find_runs([tmp_path / "10", tmp_path])
    assert [str(run.relative_to(tmp_path)) for run in found] == ["10", "9", "deeper/0", "lr=0.1"]


def test_figures_are_those_of_the_summary(tmp_path: Path) -> None:
    write_run(tmp_path / "0", seed=5)
    (run,) = read_runs([tmp_path])
    summary = json.loads((tmp_path / "0" / "summary.json").read_text())
    assert (run.seed, run.group, run.status, run.shared) == (5, "", "finished", False)
    assert run.config["seed"] == 5
    assert run.summary == summary
    assert run.metrics == {
        "best": summary["best"]["score"],
        "winner": summary["winner"]["score"],
        "test/acc": 0.9,
        "test/loss": 0.5,
        "time_to_target_s": summary["time_to_target_s"],
        "makespan_s": summary["makespan_s"],
        "bound_s": summary["bound_s"],
        "ratio": summary["makespan_s"] / summary["bound_s"],
        "worker_h": summary["worker_s"] / 3600,
        "utilisation": summary["utilisation"],
        "iterations": 160,
        "exploits": 1,
        "failures": 1,
    }


def test_what_is_not_finite_is_not_measured(tmp_path: Path) -> None:
    write_run(tmp_path / "0", loss=float("nan"), target=None)
    (run,) = read_runs([tmp_path])
    assert run.metrics["test/loss"] is None
    assert "time_to_target_s" not in run.metrics  # there was none to reach


def test_populations_that_trained_together_are_told_one_by_one(tmp_path: Path) -> None:
    write_run(tmp_path / "0", seeds=[3, 1])
    runs = read_runs([tmp_path])
    told = json.loads((tmp_path / "0" / "summary.json").read_text())["populations"]
    assert [(run.seed, run.trials, run.shared) for run in runs] == [
        (3, (0, 3), True), (1, (4, 7), True)
    ]  # fmt: skip
    for run, population in zip(runs, told, strict=True):
        assert run.metrics["makespan_s"] == population["makespan_s"]
        assert run.metrics["best"] == population["best"]["score"]
        assert run.metrics["ratio"] is None
        assert run.folder == tmp_path / "0"


def test_groups_are_named_by_what_differs(tmp_path: Path) -> None:
    write_run(tmp_path / "0", seed=0)
    write_run(tmp_path / "1", seed=1, changes={"report.console": "quiet"})
    write_run(tmp_path / "2", seed=0, changes={"scheduler.policy": "static"})
    assert [run.group for run in read_runs([tmp_path])] == [
        "scheduler=hrfs", "scheduler=hrfs", "scheduler=static"
    ]  # fmt: skip
    write_run(tmp_path / "3", seed=0, changes={"population.size": 8})
    write_run(tmp_path / "4", seeds=[0, 1])
    assert [run.group for run in read_runs([tmp_path])][2:] == [
        "scheduler=static, population.size=4, populations=1",
        "scheduler=hrfs, population.size=8, populations=1",
        "scheduler=hrfs, population.size=4, populations=2",
        "scheduler=hrfs, population.size=4, populations=2",
    ]


def test_hydras_choices_name_what_they_decide(tmp_path: Path) -> None:
    for number, (option, size) in enumerate([("demo", 4), ("paper", 8), ("paper", 8)]):
        folder = write_run(
            tmp_path / str(number), seed=number,
            changes={"population.size": size, "population.stop_iterations": 10 * size},
        )  # fmt: skip
        choices = {"population": option, "hydra/launcher": "basic", "experiment": None}
        record = {"hydra": {"runtime": {"choices": choices}}}
        (folder / ".hydra" / "hydra.yaml").write_text(json.dumps(record))
    groups = [run.group for run in read_runs([tmp_path])]
    assert groups == ["population=demo", "population=paper", "population=paper"]


def test_a_key_that_an_older_config_lacks_is_null(tmp_path: Path) -> None:
    write_run(tmp_path / "0", seed=0, changes={"scheduler.max_staleness": None})
    write_run(tmp_path / "1", seed=1)
    assert {run.group for run in read_runs([tmp_path])} == {""}


def test_runs_that_are_not_whole_are_named_and_left_out(tmp_path: Path) -> None:
    write_run(tmp_path / "0")
    write_start(tmp_path / "killed")
    write_start(tmp_path / "half")
    text = (tmp_path / "0" / "summary.json").read_text()
    (tmp_path / "half" / "summary.json").write_text(text[: len(text) // 2])
    (write_start(tmp_path / "foreign") / "summary.json").write_text('{"makespan_s": 1}')
    write_failure(write_start(tmp_path / "raised"), ValueError("no\nsuch thing"))
    died = write_start(tmp_path / "died")
    record = {"status": "FAILED", "reason": "its process was killed by SIGKILL"}
    (died / ".hydra" / "job_4.json").write_text(json.dumps(record))
    started = write_start(tmp_path / "running")
    (started / ".hydra" / "job_5.json").write_text('{"status": "STARTED", "reason": ""}')
    shutil.copytree(tmp_path / "0", tmp_path / "noconfig")
    (tmp_path / "noconfig" / "config.yaml").write_text("[")
    found = _left_out(tmp_path)
    assert found["killed"] == "it has no summary.json, so it was killed or is still running"
    assert found["running"] == found["killed"]
    assert found["half"].startswith("its summary.json cannot be read (")
    assert found["foreign"].startswith("its summary.json is not that of a run (")
    assert found["raised"] == "it failed: ValueError: no such thing"
    assert found["died"] == "it failed: its process was killed by SIGKILL"
    assert found["noconfig"].startswith("its config.yaml cannot be read (")
    assert [run.folder.name for run in read_runs([tmp_path])] == ["0"]


def test_the_word_of_a_failure_does_not_disturb_a_whole_run(tmp_path: Path) -> None:
    write_run(tmp_path / "0")
    write_failure(tmp_path / "0", ValueError("the folder is taken"))
    assert not (tmp_path / "0" / "failure.json").exists()


@pytest.mark.parametrize("name", ["nonesuch", "file"])
def test_no_such_folder(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=f"{name}: there is no such folder; give the folder of"):
        find_runs([tmp_path / name])


def test_a_folder_without_runs(tmp_path: Path) -> None:
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf" / "config.yaml").write_text("seed: 0\n")
    with pytest.raises(ConfigError, match="has no run in it"):
        read_runs([tmp_path])


def test_only_half_written_runs(tmp_path: Path) -> None:
    write_start(tmp_path / "0")
    write_start(tmp_path / "1")
    with pytest.raises(ConfigError, match=r"/0: it has no summary.json, .*, nor have 1 more"):
        read_runs([tmp_path])


def test_a_newer_summary(tmp_path: Path) -> None:
    path = write_run(tmp_path / "0") / "summary.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "format": 99}))
    with pytest.raises(ConfigError, match="is of format 99, and this hrfs reads those up to 1"):
        read_runs([tmp_path])


def test_the_same_seed_twice_names_both_folders(tmp_path: Path) -> None:
    write_run(tmp_path / "a", seed=0)
    write_run(tmp_path / "b", seed=1)
    write_run(tmp_path / "c", seed=0)
    with pytest.raises(ConfigError, match=r"seed=0: was run twice, in .*/a and in .*/c; give only"):
        read_runs([tmp_path])
    assert len(read_runs([tmp_path / "a", tmp_path / "b", tmp_path / "a"])) == 2


def test_a_run_may_stand_beside_the_one_that_made_up_for_it(tmp_path: Path) -> None:
    write_run(tmp_path / "a", seed=0, status="interrupted", reason="stopped")
    write_run(tmp_path / "b", seed=0)
    assert [run.status for run in read_runs([tmp_path])] == ["interrupted", "finished"]


def test_seeds_of_one_run_cannot_be_those_of_another(tmp_path: Path) -> None:
    write_run(tmp_path / "a", seeds=[0, 1])
    write_run(tmp_path / "b", seeds=[1, 2])
    with pytest.raises(ConfigError, match="seed=1: was run twice"):
        read_runs([tmp_path])


def test_the_play_has_what_a_configuration_has() -> None:
    from hrfs.cli.schema import HrfsConfig

    assert set(CONFIG) <= set(HrfsConfig.__dataclass_fields__)
