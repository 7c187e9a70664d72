"""TensorBoard's own readers see the runs, tags, values and hyperparameters."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from reporting_play import Play, make_plan
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import api_pb2, metadata

from hrfs.core.search_space import Choice, Hyperparameter
from hrfs.reporting import History, TensorBoard, make_observers, write_final

ORIGIN = 1_700_000_000.0


def opened(folder: Path) -> EventAccumulator:
    reader = EventAccumulator(str(folder))
    reader.Reload()
    return reader


def played(folder: Path, **changes: object) -> History:
    history = History()
    board = TensorBoard(folder, history, wall_clock=lambda: ORIGIN)
    Play([history, board], make_plan(**changes)).run()  # type: ignore[arg-type]
    return history


def test_each_trial_has_one_run_with_the_promised_tags(tmp_path: Path) -> None:
    played(tmp_path)
    runs = sorted(path.name for path in tmp_path.iterdir())
    assert runs == ["experiment", "trial_00", "trial_01", "trial_02", "trial_03"]
    assert all(len(list(path.iterdir())) == 1 for path in tmp_path.iterdir())
    tags = opened(tmp_path / "trial_02").Tags()
    assert sorted(tags["scalars"]) == [
        *("lr", "momentum", "staleness", "train/loss", "val/acc", "val/loss"),
        *("weight_decay", "worker/kind"),
    ]
    assert "worker/name" in tags["tensors"]


def test_scalars_stand_at_their_iteration_and_wall_time(tmp_path: Path) -> None:
    history = played(tmp_path)
    for trial in range(4):
        mine = [r for r in history.records if r.trial == trial]
        reader = opened(tmp_path / f"trial_{trial:02d}")
        for tag in ("val/acc", "train/loss"):
            points = reader.Scalars(tag)
            assert [p.step for p in points] == [r.to_iteration for r in mine]
            assert [p.wall_time for p in points] == [ORIGIN + r.end_s for r in mine]
            wanted = [r.metrics[tag] for r in mine]
            assert [p.value for p in points] == pytest.approx(wanted, nan_ok=True)
        lr = [r.hyperparameters["lr"] for r in mine]
        assert [p.value for p in reader.Scalars("lr")] == pytest.approx(lr)


def test_wall_times_allow_for_seconds_that_passed_before_the_start(tmp_path: Path) -> None:
    history = History()
    board = TensorBoard(tmp_path, history, wall_clock=lambda: ORIGIN)
    play = Play([history, board])
    play.now_s = 30.0
    play.run(most_slices=1)
    (point,) = opened(tmp_path / "trial_00").Scalars("val/acc")
    assert point.wall_time == pytest.approx(ORIGIN + 0.6)


def test_staleness_is_the_distance_to_the_leader_of_that_moment(tmp_path: Path) -> None:
    history = played(tmp_path)
    reached = dict.fromkeys(range(4), 0)
    wanted: dict[int, list[int]] = {trial: [] for trial in reached}
    for record in history.records:
        reached[record.trial] = record.to_iteration
        wanted[record.trial].append(max(reached.values()) - record.to_iteration)
    assert max(max(values) for values in wanted.values()) > 0
    for trial, values in wanted.items():
        points = opened(tmp_path / f"trial_{trial:02d}").Scalars("staleness")
        assert [p.value for p in points] == values


def test_the_experiment_run_counts_all_iterations(tmp_path: Path) -> None:
    history = played(tmp_path)
    reader = opened(tmp_path / "experiment")
    assert sorted(reader.Tags()["scalars"]) == [
        *("exploits", "failures", "handover/share"),
        *("score/best", "score/lower_quartile", "score/median", "score/upper_quartile"),
        *("spread/iterations", "utilisation/cpu", "utilisation/gpu:A100"),
        *("workers/busy", "workers/utilisation"),
    ]
    best = reader.Scalars("score/best")
    assert best[-1].step == 160
    assert best[-1].value == pytest.approx(history.best().score)  # type: ignore[union-attr]
    values = [p.value for p in best]
    assert values == sorted(values)
    assert reader.Scalars("workers/busy")[0].value == 3
    assert all(0 < p.value <= 1 for p in reader.Scalars("workers/utilisation"))
    assert [p.value for p in reader.Scalars("exploits")][-1] == 1
    (text,) = reader.Tensors("run")
    assert b"| cluster | emulated: 1 gpu" in text.tensor_proto.string_val[0]
    kinds = reader.Tensors("worker kinds")[-1].tensor_proto.string_val[0]
    assert b"| 0 | gpu:A100 |\n| 1 | cpu |" in kinds


def test_test_metrics_join_the_experiment_run_at_the_end(tmp_path: Path) -> None:
    history = History()
    Play(make_observers(tmp_path, history, "quiet", 60.0)).run()
    write_final(tmp_path, history, {"test/acc": 0.75, "loss": 1.5})
    assert len(list((tmp_path / "tensorboard" / "experiment").iterdir())) == 1
    reader = opened(tmp_path / "tensorboard" / "experiment")
    (point,) = reader.Scalars("test/acc")
    assert (point.value, point.step) == (0.75, 160)
    assert reader.Scalars("test/loss")[0].value == 1.5
    assert len(reader.Scalars("score/best")) > 10


def test_the_hparams_tab_has_a_session_per_trial(tmp_path: Path) -> None:
    history = played(tmp_path)
    content = opened(tmp_path / "experiment").summary_metadata[metadata.EXPERIMENT_TAG]
    described = metadata.parse_experiment_plugin_data(content.plugin_data.content)
    assert sorted(info.name for info in described.hparam_infos) == [
        "lr",
        "momentum",
        "weight_decay",
    ]
    shown = {info.name.tag: info.display_name for info in described.metric_infos}
    last = {name: f"{name} (last)" for name in ("lr", "momentum", "weight_decay")}
    assert shown == {"val/acc": "val/acc", **last}
    for trial in range(4):
        found = opened(tmp_path / f"trial_{trial:02d}").summary_metadata
        start = metadata.parse_session_start_info_plugin_data(
            found[metadata.SESSION_START_INFO_TAG].plugin_data.content
        )
        first = {name: value.number_value for name, value in start.hparams.items()}
        assert first == history.plan.initial_hyperparameters(trial)
        end = metadata.parse_session_end_info_plugin_data(
            found[metadata.SESSION_END_INFO_TAG].plugin_data.content
        )
        assert end.status == api_pb2.STATUS_SUCCESS


def test_words_and_flags_among_the_hyperparameters(tmp_path: Path) -> None:
    space = {
        "act": Hyperparameter(Choice(("relu",))),
        "nesterov": Hyperparameter(Choice((True,))),
        "val/acc": Hyperparameter(Choice((7.0,))),
    }
    history = History()
    plan = make_plan(search_space=space)
    Play([history, TensorBoard(tmp_path, history)], plan, exploit_slice=None).run()
    reader = opened(tmp_path / "trial_00")
    assert reader.Tensors("act")[0].tensor_proto.string_val == [b"relu"]
    assert len(reader.Tensors("act")) == 1
    assert reader.Scalars("nesterov")[0].value == 1.0
    assert reader.Scalars("hp/val/acc")[0].value == 7.0
    assert reader.Scalars("val/acc")[0].value != 7.0


def test_a_diverged_slice_is_nan_not_missing(tmp_path: Path) -> None:
    history = played(tmp_path)
    (gone,) = (r for r in history.records if r.score is not None and math.isnan(r.score))
    points = opened(tmp_path / f"trial_{gone.trial:02d}").Scalars("val/acc")
    assert [math.isnan(p.value) for p in points].count(True) == 1


def test_a_killed_run_can_be_read(tmp_path: Path) -> None:
    history = History()
    Play([history, TensorBoard(tmp_path, history)]).run(most_slices=4)
    points = sum(
        len(opened(r).scalars.Items("staleness"))
        for r in tmp_path.glob("trial_*")
        if "staleness" in opened(r).Tags()["scalars"]
    )
    assert points == len(history.records) == 3
