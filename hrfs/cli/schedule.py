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
        ConfigError: a schedule without ``scheduler=replay`` or the other way round, a file that
            is no schedule, or one that does not give a value to each of
            ``population.search_space``, and to no other.
    """
    file, replays = config[KEY], config["scheduler"]["policy"] == REPLAY
    if file is None and replays:
        remedy = f"{KEY}=winner_schedule.json, which hrfs.report writes"
        raise ConfigError(KEY, "null", f"is needed by scheduler={REPLAY}", remedy)
    if file is not None and not replays:
        raise ConfigError(KEY, file, f"is for scheduler={REPLAY} alone", f"scheduler={REPLAY}")
    if file is None:
        return None
    schedule = read_schedule(Path(file))
    varied = set(config["population"]["search_space"])
    for stretch in schedule.stretches:
        unlike = varied.symmetric_difference(stretch.hyperparameters)
        if unlike:
            rule = f"must give {', '.join(sorted(varied)) or 'nothing'}, and no other value"
            remedy = f"set population.search_space to match; they differ in {min(unlike)}"
            raise ConfigError(KEY, file, rule, remedy)
    return schedule


def timetable_of(schedule: Schedule) -> Timetable:
    """The same for the scheduling core."""
    return Timetable(
        tuple((stretch.from_iteration, stretch.hyperparameters) for stretch in schedule.stretches)
    )
