"""The event log of a run, read while it grows, by a reader that shares no code with hrfs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NOT_BACK = "is not there any more"
"""Why a resumed driver gives up a slice that was under way: its worker did not come back."""


@dataclass(frozen=True, slots=True)
class Start:
    """A slice as the scheduler started it."""

    slice: int
    trial: int
    worker: str
    iterations: int


@dataclass(frozen=True, slots=True)
class Loss:
    """A slice that ended without a result. ``line`` counts the events before it."""

    start: Start
    line: int
    event: str
    reason: str


@dataclass
class EventLog:
    """What ``hrfs-events.jsonl`` has said so far."""

    path: Path
    lines: int = 0
    under_way: dict[int, Start] = field(default_factory=dict)
    """By the number of the slice."""
    starts: dict[int, Start] = field(default_factory=dict)
    """All that ever began."""
    losses: list[Loss] = field(default_factory=list)
    records: list[Mapping[str, Any]] = field(default_factory=list)
    """Of the slices that are done, in order."""
    story: dict[int, list[tuple[int, int] | None]] = field(default_factory=dict)
    """Of each trial in order: a slice from one iteration to another, or None where a checkpoint
    of it was found damaged."""
    newest: dict[int, str] = field(default_factory=dict)
    """Folder of each trial's newest checkpoint, relative to the log's."""
    proven: set[str] = field(default_factory=set)
    """Workers whose present process has ended a slice."""
    _at: int = 0

    def poll(self) -> bool:
        """Read whole lines that were added; False if there are none."""
        try:
            with self.path.open("rb") as stream:
                stream.seek(self._at)
                data = stream.read()
        except FileNotFoundError:
            return False
        whole = data[: data.rfind(b"\n") + 1]
        self._at += len(whole)
        for line in whole.splitlines():
            self._take(json.loads(line))
        return bool(whole)

    def _take(self, content: Mapping[str, Any]) -> None:
        self.lines += 1
        event = content.get("event", "")
        facts = content.get("facts", {})
        if event == "SliceDone":
            record = facts["record"]
            self.records.append(record)
            step = record["from_iteration"], record["to_iteration"]
            self.story.setdefault(record["trial"], []).append(step)
            self.newest[record["trial"]] = content["checkpoint"]
            self.proven.add(self.under_way.pop(content["slice"]).worker)
        elif event in ("SliceFailed", "CheckpointLost"):
            self._lose(self.under_way[content["slice"]], content)
            if event == "CheckpointLost":
                trial = self.losses[-1].start.trial
                self.story.setdefault(trial, []).append(None)
        elif event == "WorkerLeft":
            self.proven.discard(content["worker"])
            for start in [s for s in self.under_way.values() if s.worker == content["worker"]]:
                self._lose(start, content)
        if "copy" in facts:  # an exploit: the trial goes on from its copy of the donor's
            trial = int(Path(facts["copy"]).parent.name.removeprefix("trial_"))
            self.newest[trial] = facts["copy"]
        for number, trial, worker, iterations in facts.get("starts", []):
            start = Start(number, trial, worker, iterations)
            self.under_way[number] = self.starts[number] = start

    def _lose(self, start: Start, content: Mapping[str, Any]) -> None:
        del self.under_way[start.slice]
        self.losses.append(Loss(start, self.lines, content["event"], content["reason"]))

    @property
    def iterations(self) -> int:
        """Iterations that all trials have reached, what was rolled back taken off."""
        return sum(reached(steps) for steps in self.story.values())


def reached(steps: list[tuple[int, int] | None]) -> int:
    """At which iteration a trial is: the end of its last slice."""
    done = [step for step in steps if step is not None]
    return done[-1][1] if done else 0
