"""Lightning's loggers: a run per trial, steps of its iterations, and what becomes of faults."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from reporting_play import Play, make_plan

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.observer import Observer
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import SliceRecord
from hrfs.training import loggers
from hrfs.training.loggers import TrialLoggers

pytestmark = pytest.mark.torch
ROOT = Path(__file__).resolve().parents[2]


class Records(Observer):
    """Keeps what was told."""

    def __init__(self) -> None:
        self.all: list[SliceRecord] = []

    def on_slice(self, record: SliceRecord) -> None:
        self.all.append(record)

    def of(self, trial: int) -> list[SliceRecord]:
        return [record for record in self.all if record.trial == trial]


def play(names: Sequence[str], folder: Path, plan: Plan | None = None) -> tuple[Records, list[str]]:
    """A whole run with these loggers: its records, and the warnings."""
    told: list[str] = []
    records = Records()
    Play([records, TrialLoggers(names, folder, told.append)], plan).run()
    return records, told


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_csv_has_a_file_per_trial_that_goes_on_over_slices(tmp_path: Path) -> None:
    records, told = play(["csv"], tmp_path, make_plan(trials=7))
    assert told == []
    assert len({record.worker for record in records.of(0)}) == 3  # it moved
    for trial in range(7):
        rows = _rows(tmp_path / "csv" / f"trial_{trial:02d}" / "version_0" / "metrics.csv")
        wanted = records.of(trial)
        assert [int(row["step"]) for row in rows] == [record.to_iteration for record in wanted]
        for row, record in zip(rows, wanted, strict=True):
            assert float(row["val/loss"]) == record.metrics["val/loss"]
            assert float(row["hp/lr"]) == record.hyperparameters["lr"]
            assert float(row["slice_s"]) == record.duration_s
    values = yaml.safe_load((tmp_path / "csv/trial_01/version_0/hparams.yaml").read_text())
    assert values["lr"] == records.of(1)[0].hyperparameters["lr"]
    assert values["cluster"] == "emulated: 1 gpu, 2 cpu on one machine"


def test_a_row_is_on_the_disk_as_soon_as_its_slice_has_ended(tmp_path: Path) -> None:
    observer = TrialLoggers(["csv"], tmp_path, lambda told: None)
    going = Play([observer])
    going.run(most_slices=2)
    assert len(list(tmp_path.glob("csv/*/*/metrics.csv"))) == 2


def test_a_resumed_run_writes_beside_what_is_there(tmp_path: Path) -> None:
    play(["csv"], tmp_path)
    before = (tmp_path / "csv/trial_00/version_0/metrics.csv").read_bytes()
    play(["csv"], tmp_path)
    assert (tmp_path / "csv/trial_00/version_0/metrics.csv").read_bytes() == before
    assert (tmp_path / "csv/trial_00/version_1/metrics.csv").exists()


def test_tensorboard_has_a_run_per_trial(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    records, told = play(["tensorboard", "csv"], tmp_path)
    assert told == []
    for trial in range(4):
        curves = EventAccumulator(str(tmp_path / f"tensorboard/trial_{trial:02d}/version_0"))
        curves.Reload()
        found = [(point.step, point.value) for point in curves.Scalars("val/loss")]
        wanted = [(r.to_iteration, pytest.approx(r.metrics["val/loss"])) for r in records.of(trial)]
        assert found == wanted
    assert (tmp_path / "csv/trial_03/version_0/metrics.csv").exists()


def test_several_populations_have_folders_of_their_own(tmp_path: Path) -> None:
    play(["csv"], tmp_path, make_plan(trials=8, seeds=(1, 2)))
    found = {str(file.parent.parent.relative_to(tmp_path)) for file in tmp_path.rglob("*.csv")}
    assert found == {f"csv/seed_{1 + t // 4}/trial_{t:02d}" for t in range(8)}


def test_a_value_that_is_no_number_is_no_metric(tmp_path: Path) -> None:
    observer = TrialLoggers(["csv"], tmp_path, lambda told: None)
    plan = make_plan(trials=1)
    observer.on_start(plan, ())
    record = SliceRecord(
        0, 0, "w", 0.0, 1.0, 0, 5, hyperparameters={"act": "relu", "n": 2, "b": True}
    )
    observer.on_slice(record)
    observer.on_slice(replace(record, slice=1, from_iteration=5, to_iteration=9))
    rows = _rows(tmp_path / "csv/trial_00/version_0/metrics.csv")
    assert [set(row) for row in rows] == [{"step", "hp/n", "slice_s"}] * 2


def test_a_logger_that_cannot_start_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_server(folder: Path, trial: str) -> Any:
        raise OSError("no route\nto the server")

    monkeypatch.setattr(loggers, "LOGGERS", {"wandb": no_server})
    pattern = r"^logger=wandb: cannot be started: OSError: no route to the server; leave it out"
    with pytest.raises(ConfigError, match=pattern):
        play(["wandb"], tmp_path)


def test_a_logger_that_fails_under_way_is_given_up_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Failing:
        experiment = "open"

        def log_hyperparams(self, params: Any) -> None: ...

        def save(self) -> None: ...

        def log_metrics(self, metrics: Any, step: int) -> None:
            if step > 10:
                raise OSError("disk\nfull")

    both = {"mlflow": lambda folder, trial: Failing(), "csv": loggers.LOGGERS["csv"]}
    monkeypatch.setattr(loggers, "LOGGERS", both)
    records, told = play(["mlflow", "csv"], tmp_path)
    assert told == ["logger=mlflow is given up: OSError: disk full"]
    rows = _rows(tmp_path / "csv/trial_00/version_0/metrics.csv")
    assert len(rows) == len(records.of(0))


def test_runs_of_trials_that_were_cut_off_are_closed_as_failed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: dict[str, str] = {}

    class Quiet:
        experiment = "open"

        def __init__(self, trial: str) -> None:
            self.trial = trial

        def log_hyperparams(self, params: Any) -> None: ...

        def save(self) -> None: ...

        def log_metrics(self, metrics: Any, step: int) -> None: ...

        def finalize(self, status: str) -> None:
            closed[self.trial] = status

    monkeypatch.setattr(loggers, "LOGGERS", {"csv": lambda folder, trial: Quiet(trial)})
    observer = TrialLoggers(["csv"], tmp_path, lambda told: None)
    observer.on_start(make_plan(trials=2), ())
    observer.on_trial_end(1.0, 1, "all iterations done")
    observer.on_end(2.0)
    assert closed == {"trial_00": "failed", "trial_01": "success"}
