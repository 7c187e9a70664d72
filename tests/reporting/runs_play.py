"""Folders of runs, written by what writes them in earnest, from plays that take no time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml
from reporting_play import Play, make_plan

from hrfs.experiment.launch import Outcome, Status
from hrfs.experiment.observer import Observers
from hrfs.experiment.records import SliceRecord
from hrfs.reporting import History, SliceCsv, write_final

CONFIG = {
    "seed": 0,
    "seeds": None,
    "population": {"size": 4, "stop_iterations": 40, "target_score": 0.7},
    "scheduler": {"policy": "hrfs", "request": "auto"},
    "report": {"console": "auto"},
}


class Unlike(Observers):
    """Tells of slices that are slower by a factor and score better by a shift."""

    def __init__(self, slower: float, better: float, *observers: Any) -> None:
        super().__init__(observers)
        self._slower, self._better = slower, better

    def on_slice(self, record: SliceRecord) -> None:
        begin_s, end_s = record.start_s * self._slower, record.end_s * self._slower
        score = None if record.score is None else record.score + self._better
        super().on_slice(replace(record, start_s=begin_s, end_s=end_s, score=score))


def write_run(
    folder: Path,
    seed: int = 0,
    seeds: Sequence[int] | None = None,
    changes: dict[str, Any] | None = None,
    slower: float = 1.0,
    better: float = 0.0,
    status: Status = "finished",
    reason: str = "",
    target: float | None = 0.7,
    loss: float = 0.5,
) -> Path:
    """A whole run in ``folder``; ``changes`` are dotted keys of its configuration."""
    several = (seed,) if seeds is None else tuple(seeds)
    config = yaml.safe_load(yaml.safe_dump(CONFIG))
    config |= {"seed": seed if seeds is None else 0, "seeds": None if seeds is None else [*seeds]}
    for key, value in (changes or {}).items():
        group, _, name = key.rpartition(".")
        (config[group] if group else config)[name] = value
    write_start(folder, config)
    plan = make_plan(trials=4 * len(several), seeds=several, target_score=target)
    labels = {**plan.labels, "scheduler": config["scheduler"]["policy"]}
    plan = replace(plan, labels=labels)
    history = History()
    play = Play([Unlike(slower, better, history, SliceCsv(folder / "slices.csv"))], plan)
    play.run()
    winner = history.winner()
    assert winner is not None
    test = {"test/acc": 0.9 + better, "test/loss": loss}
    outcome = Outcome(status, winner.trial, winner.last_score, test, reason)
    write_final(folder, history, test, outcome)
    return folder


def write_start(folder: Path, config: Any = CONFIG) -> Path:
    """What a run has written by the time at which it begins to train."""
    (folder / ".hydra").mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    (folder / "overrides.yaml").write_text("[]\n")
    return folder
