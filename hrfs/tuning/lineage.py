"""The lineage of exploits in Ray Tune's own form.

Tune's PBT keeps a file ``pbt_policy_<trial id>.txt`` per trial in the experiment's folder: a
line of JSON per exploit of its ancestry, which PopulationBasedTrainingReplay trains by. Ours
count in iterations (optimizer steps).
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """One exploit: tags of both trials, their iterations, the donor's and the new values."""

    trial_tag: str
    donor_tag: str
    iteration: int
    donor_iteration: int
    donor_values: Mapping[str, Any]
    new_values: Mapping[str, Any]

    def to_json(self) -> str:
        """The line as Tune writes it."""
        return json.dumps(
            [
                self.trial_tag,
                self.donor_tag,
                self.iteration,
                self.donor_iteration,
                dict(self.donor_values),
                dict(self.new_values),
            ]
        )


def inherit_policy(folder: Path, trial_id: str) -> None:
    """Name the file of an earlier driver's trial of the same number after ``trial_id``."""
    number = trial_id.rpartition("_")[2]
    mine = folder / f"pbt_policy_{trial_id}.txt"
    for older in sorted(folder.glob(f"pbt_policy_*_{number}.txt")):
        if older != mine:
            older.replace(mine)


def write_policy(folder: Path, trial_id: str, donor_id: str, line: PolicyLine) -> None:
    """Give the trial the donor's ancestry, and add this exploit to it."""
    folder.mkdir(parents=True, exist_ok=True)
    mine, donors = (folder / f"pbt_policy_{name}.txt" for name in (trial_id, donor_id))
    if donors.exists():
        shutil.copyfile(donors, mine)
    with mine.open("a") as stream:
        stream.write(line.to_json() + "\n")
