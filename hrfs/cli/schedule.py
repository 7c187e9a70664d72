"""``scheduler=replay schedule=FILE``: one trial, trained as a winner's weights were."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hrfs.core.timetable import Timetable
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.launch import REPLAY
from hrfs.experiment.schedule import Schedule, read_schedule

KEY = "schedule"


def schedule_of(config: Mapping[str, Any]) -> Schedule | None:
    """What the one trial is to be trained by; None if a population is to find its values.

    Raises:
        ConfigError: as :func:`check_schedule`.
    """
    check_schedule(config)
    return None if config[KEY] is None else read_schedule(Path(config[KEY]))


def check_schedule(config: Mapping[str, Any]) -> None:
    """A schedule goes with ``scheduler=replay``, and gives a value to what may vary.

    Raises:
        ConfigError: one without the other, a file that is no schedule, or one that is about
            other hyperparameters than ``population.search_space``.
    """
    file, replays = config[KEY], config["scheduler"]["policy"] == REPLAY
    if file is None and replays:
        rule = f"is needed by scheduler={REPLAY}"
        raise ConfigError(
            KEY, "null", rule, f"{KEY}=winner_schedule.json, which hrfs.report writes"
        )
    if file is not None and not replays:
        raise ConfigError(KEY, file, f"is for scheduler={REPLAY} alone", f"scheduler={REPLAY}")
    if file is None:
        return
    varied = set(config["population"]["search_space"])
    for stretch in read_schedule(Path(file)).stretches:
        unlike = varied.symmetric_difference(stretch.hyperparameters)
        if unlike:
            rule = f"must give {', '.join(sorted(varied)) or 'nothing'}, and no other value"
            remedy = f"set population.search_space to match; they differ in {min(unlike)}"
            raise ConfigError(KEY, file, rule, remedy)


def timetable_of(schedule: Schedule) -> Timetable:
    """The same for the scheduling core."""
    return Timetable(
        tuple((stretch.from_iteration, stretch.hyperparameters) for stretch in schedule.stretches)
    )
