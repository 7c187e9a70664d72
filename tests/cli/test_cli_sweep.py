"""Sweeps by the command line: what is refused, what is summed up, and the exit code.

The runs are played instead of trained, and written where a trained one would be.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from runs_play import write_run, write_start

from hrfs.cli import compose as composing
from hrfs.cli.main import main
from hrfs.cli.sweep import Sweep
from hrfs.cli.sweep_end import conclude
from hrfs.cli.sweep_retry import only_job_in, set_aside
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.launch import Outcome, Status

CommandLine = Callable[..., tuple[int, str, str]]
SWEEP = ("-m", "hydra.sweep.dir=sweep")


def play(
    monkeypatch: pytest.MonkeyPatch, endings: dict[int, Status | Exception] | None = None
) -> list[int]:
    """Jobs whose seed is in ``endings`` end so, all others finish; gives the seeds that ran."""
    ran: list[int] = []

    def run_job(cfg: DictConfig) -> Outcome:
        folder = Path(HydraConfig.get().runtime.output_dir)
        ran.append(cfg.seed)
        ending = (endings or {}).get(cfg.seed, "finished")
        if isinstance(ending, Exception):
            write_start(folder)
            raise ending
        changes = {"scheduler.policy": cfg.scheduler.policy}
        write_run(folder, cfg.seed, changes=changes, slower=1 + cfg.seed, status=ending)
        return Outcome(status=ending, best_trial=0, best_score=0.5, test_metrics={})

    monkeypatch.setattr(composing, "run_job", run_job)
    return ran


def _aggregate(folder: Path) -> Any:
    return json.loads((folder / "summary.json").read_text())


def test_the_jobs_are_summed_up(
    hrfs_main: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    play(monkeypatch)
    code, out, err = hrfs_main(*SWEEP, "scheduler=hrfs,static", "seed=range(0,2)")
    assert (code, err) == (0, "")
    assert "scheduler=hrfs: seeds 0, 1" in out
    assert "scheduler=static: seeds 0, 1" in out
    assert f"files: {tmp_path / 'sweep'}" in out
    groups = _aggregate(tmp_path / "sweep")["groups"]
    assert [group["metrics"]["makespan_s"]["n"] for group in groups] == [2, 2]
    assert (tmp_path / "sweep" / "summary.csv").is_file()


def test_a_failing_job_costs_no_other_its_figures(
    hrfs_main: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran = play(monkeypatch, {1: ConfigError("cluster.address", "x", "does not answer")})
    code, out, err = hrfs_main(*SWEEP, "seed=0,1,2")
    assert (code, ran) == (1, [0, 1, 2])
    assert err.splitlines()[-1] == "hrfs: cluster.address=x: does not answer"
    assert "all runs: seeds 0, 2" in out
    reason = "it failed: ConfigError: cluster.address=x: does not answer"
    assert _aggregate(tmp_path / "sweep")["left_out"] == [{"folder": "1", "reason": reason}]
    assert reason in " ".join(out.split())
    before = (tmp_path / "sweep" / "summary.json").read_bytes()
    # Bad input beside the results of an earlier sweep is bad input still.
    code, out, err = hrfs_main(*SWEEP, "seed=0,1", "population.sise=3")
    assert (code, out) == (2, "")
    assert "population.sise=3: there is no key sise" in err
    assert (tmp_path / "sweep" / "summary.json").read_bytes() == before


def test_a_fault_of_a_job_keeps_its_traceback(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """And when the sweep is run again, in its folder, what it left is set aside."""
    monkeypatch.chdir(tmp_path)
    play(monkeypatch, {0: ZeroDivisionError("a fault of ours")})
    arguments = [*SWEEP, "seed=0,1", "hydra.sweep.subdir=${seed}"]
    with pytest.raises(ZeroDivisionError, match="a fault of ours") as raised:
        main(arguments)
    assert "run_job" in [entry.name for entry in raised.traceback]
    assert "all runs: seed 1" in capsys.readouterr().out
    job = tmp_path / "sweep" / "0"
    told = json.loads((job / "failure.json").read_text())
    assert told["reason"] == "ZeroDivisionError: a fault of ours"
    assert "in run_job\n    raise ending\n" in told["traceback"]
    play(monkeypatch)
    with pytest.raises(SystemExit) as ended:
        main([*arguments[:-2], "seed=0", arguments[-1]])
    assert ended.value.code == 0
    assert "all runs: seeds 0, 1" in capsys.readouterr().out
    assert json.loads((job / "attempt_1" / "failure.json").read_text()) == told
    assert (job / "attempt_1" / "config.yaml").is_file()
    assert not (job / "failure.json").exists()


def test_an_interrupted_sweep_says_how_to_sum_up(
    hrfs_main: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    ran = play(monkeypatch, {1: "interrupted"})
    code, _, err = hrfs_main(*SWEEP, "seed=0,1,2")
    assert (code, ran) == (130, [0, 1])
    line = f"hrfs: interrupted; python -m hrfs.summary {tmp_path / 'sweep'} sums up what has"
    assert line in err


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("seed=0,0", "seed=0,0: lists 0 twice, which would be the same run twice; leave out"),
        ("seed=1,2,01", "seed=1,2,01: lists 1 twice"),
        ("seed=choice(3,3)", "seed=choice(3,3): lists 3 twice"),
        ("seeds=[0,1],[1,2]", "seeds=[0,1],[1,2]: lists 1 twice"),
        ("scheduler=hrfs,hrfs", "scheduler=hrfs,hrfs: lists hrfs twice"),
    ],
)
@pytest.mark.parametrize("mode", ["-m", "--multirun", "hydra.mode=MULTIRUN"])
def test_a_value_given_twice_is_refused_before_anything_starts(
    hrfs_main: CommandLine, tmp_path: Path, mode: str, typed: str, message: str
) -> None:
    code, out, err = hrfs_main(mode, typed)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert message in err
    assert list(tmp_path.iterdir()) == []


def test_quiet_says_where_the_files_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_run(tmp_path / "0", seed=0)
    assert conclude(Sweep(tmp_path, "quiet")) == 0
    assert capsys.readouterr().out == f"files: {tmp_path}\n"


@pytest.mark.parametrize(
    ("status", "code"), [("finished", 0), ("gave up", 1), ("interrupted", 130)]
)
def test_exit_code_tells_how_the_jobs_ended(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], status: Status, code: int
) -> None:
    write_run(tmp_path / "0", seed=0)
    write_run(tmp_path / "1", seed=1, status=status)
    assert conclude(Sweep(tmp_path)) == code
    assert ("left out: " in capsys.readouterr().out) == (code != 0)
    write_start(tmp_path / "2")
    assert conclude(Sweep(tmp_path)) == 1


def test_no_job_has_finished(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_start(tmp_path / "0")
    assert conclude(Sweep(tmp_path)) == 1
    assert f"no job has finished in {tmp_path}" in capsys.readouterr().out
    assert not (tmp_path / "summary.json").exists()


def test_a_foreign_summary_is_not_overwritten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "0")
    (tmp_path / "summary.json").write_text("[]")
    assert conclude(Sweep(tmp_path)) == 1
    assert "hrfs: the jobs are not summed up: out=" in capsys.readouterr().err
    assert (tmp_path / "summary.json").read_text() == "[]"


def test_a_run_that_ended_is_never_set_aside(tmp_path: Path) -> None:
    statuses: tuple[Status, ...] = ("finished", "gave up", "interrupted")
    for status in statuses:
        folder = write_run(tmp_path / status, status=status)
        assert (set_aside(folder) is None) == (status != "interrupted")
    assert (tmp_path / "interrupted" / "attempt_1" / "summary.json").is_file()
    assert not (tmp_path / "interrupted" / "summary.json").exists()
    assert set_aside(tmp_path / "interrupted") is None  # nothing is left to move


def test_two_jobs_never_share_a_folder(tmp_path: Path) -> None:
    job = write_start(tmp_path / "0")
    with only_job_in(job):
        assert (job / "attempt_1" / "config.yaml").is_file()
        (job / "config.yaml").write_text("seed: 0\n")
        with (
            pytest.raises(ConfigError, match="another job is running in it; choose another"),
            only_job_in(job),
        ):
            pass
        assert (job / "config.yaml").is_file()
    with only_job_in(job):
        assert (job / "attempt_2" / "config.yaml").is_file()


def test_what_the_launcher_refuses_is_one_line() -> None:
    from hrfs.cli.errors import explain
    from hydra_plugins.hrfs_ray_tune_launcher._checks import check_limits

    with pytest.raises(ConfigError) as refused:
        check_limits(max_concurrent=0, max_failures=3)
    fault = explain(refused.value, ["-m", "hydra.launcher.max_concurrent=0"], [])
    assert str(fault).startswith("hydra.launcher.max_concurrent=0: must be at least 1, or no job")
    assert "\n" not in str(fault)
