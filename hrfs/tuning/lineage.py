"""The lineage of exploits in Ray Tune's own form.

Tune's PBT keeps a file ``pbt_policy_<trial id>.txt`` per trial in the experiment's folder: a
line of JSON per exploit of its ancestry, which PopulationBasedTrainingReplay trains by. Ours
count in iterations (optimizer steps).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hrfs.experiment.files import sync_folder, write_atomically


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
            sync_folder(folder)


def write_policy(folder: Path, trial_id: str, donor_id: str, line: PolicyLine) -> None:
    """Give the trial the donor's ancestry, and add this exploit to it.

    Done again, after a crash, it gives the same.

    Raises:
        OSError: the folder cannot be written or the disk is full; the file is as it was.
    """
    mine, donors = (folder / f"pbt_policy_{name}.txt" for name in (trial_id, donor_id))
    ancestry = donors.read_bytes() if donors.exists() else b""
    write_atomically(mine, ancestry + f"{line.to_json()}\n".encode())
