"""``hrfs.load_run``: what a run left in its folder, as frames, plain values and a module."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from hrfs.experiment.checkpoint import CheckpointError
from hrfs.experiment.errors import ConfigError
from hrfs.reporting.frames import empty_trials_frame, slices_frame, trials_frame
from hrfs.reporting.runs_files import CONFIG, SLICES, LeftOut, is_run, read_files
from hrfs.reporting.slices_read import read_whole_slices
from hrfs.reporting.unfinished import read_config, refuse_newer_log

if TYPE_CHECKING:
    from pytorch_lightning import LightningModule

TRIALS = "trials.csv"
_log = logging.getLogger("hrfs")


@dataclass(frozen=True, eq=False)
class Run:
    """One run, finished or not, as it was when it was read."""

    folder: Path
    config: Mapping[str, Any]
    """The resolved configuration; empty if there is none, as in a folder of the simulator."""
    slices: pd.DataFrame
    """One row per slice that has ended, with the columns of ``slices.csv``."""
    trials: pd.DataFrame
    """One row per trial, with the columns of ``trials.csv`` and its last hyperparameters as
    ``hp/<name>``. A run that is still going writes this file every 30 s."""
    summary: Mapping[str, Any] | None
    """``summary.json``; None of a run that is still going, was killed or failed."""
    left_out: tuple[str, ...]
    """What is missing and why, a line each; empty of a whole run."""

    def module(self, seed: int | None = None) -> LightningModule:
        """The winner, with its weights, on the CPU and in evaluation mode.

        It is built at each call, from the classes that ``config`` names, and its weights are read
        from ``winner.safetensors``, which can hold no code. Read ``config["allowed_targets"]``
        before you call this on a folder from elsewhere: packages that it lists are imported.

        Args:
            seed: of which population, where there were several; None: the best of all.

        Raises:
            ConfigError: the run has no winner, its configuration names what it may not or what
                cannot be imported, or the weights are damaged or of another network.
        """
        file = self.folder / ("winner" if seed is None else f"winner_seed{seed}")
        file = file.with_suffix(".safetensors")
        winner = self._winner(seed)
        if not file.is_file():
            raise ConfigError("winner", file, "there is no such file", "see the run's hrfs.log")
        from hrfs.training.winner import load_winner  # takes seconds, and torch

        try:
            return load_winner(self._settings(), winner.get("hyperparameters", {}), file)
        except CheckpointError as error:
            raise ConfigError("winner", file, f"cannot be read: {error}") from error

    def _settings(self) -> dict[str, Any]:
        """Those of its training that a module is built from."""
        allowed = self.config.get("allowed_targets", [])
        if not isinstance(allowed, list) or not all(isinstance(name, str) for name in allowed):
            raise ConfigError("allowed_targets", allowed, "must be a list of names")
        parts = {group: self.config.get(group) for group in ("model", "dataset")}
        return {**parts, "allowed_targets": allowed}

    def _winner(self, seed: int | None) -> Mapping[str, Any]:
        """What the summary tells of it."""
        if self.summary is None:
            rule = "has no winner yet: " + "; ".join(self.left_out)
            raise ConfigError("run", self.folder, rule)
        populations = {told["seed"]: told for told in self.summary.get("populations", [])}
        if seed is not None and seed not in populations:
            known = ", ".join(map(str, populations)) or "one alone, so leave seed out"
            raise ConfigError("seed", seed, "is of no population of this run", f"it has {known}")
        winner = (self.summary if seed is None else populations[seed])["winner"]
        if winner is None:
            raise ConfigError("run", self.folder, "has no winner: no trial has a finite score")
        assert isinstance(winner, Mapping)
        return winner


def load_run(path: str | os.PathLike[str]) -> Run:
    """Read the folder of one run, also of one that is still going or was killed.

    What is missing or torn is named in :attr:`Run.left_out` and in the log, and the rest is read.

    Args:
        path: a folder such as ``outputs/2026-01-31/12-00-00``.

    Raises:
        ConfigError: there is no run in it, a newer hrfs wrote it, or a file in it is damaged
            elsewhere than at its end.
    """
    folder = Path(path)
    if not is_run(folder):
        raise _no_run(folder)
    refuse_newer_log(folder, "run")
    files = read_files(folder)
    left_out = [files.reason] if isinstance(files, LeftOut) else []
    slices, missing = _read_slices(folder / SLICES)
    left_out += missing
    trials = empty_trials_frame()
    if (folder / TRIALS).exists():
        trials = trials_frame(folder / TRIALS)
    else:
        left_out.append(f"there is no {TRIALS} yet")
    for line in left_out:
        _log.warning("%s: %s", folder, line)
    return Run(
        folder=folder,
        config=_config_so_far(folder / CONFIG) if isinstance(files, LeftOut) else files.config,
        slices=slices,
        trials=trials,
        summary=None if isinstance(files, LeftOut) else files.summary,
        left_out=tuple(left_out),
    )


def _no_run(folder: Path) -> ConfigError:
    if not folder.is_dir():
        return ConfigError("run", folder, "there is no such folder", "give the folder of a run")
    within = sorted(part.name for part in folder.iterdir() if part.is_dir() and is_run(part))
    remedy = f"give one of its runs, such as {within[0]}" if within else "give the folder of a run"
    return ConfigError("run", folder, "holds no run", remedy)


def _read_slices(path: Path) -> tuple[pd.DataFrame, list[str]]:
    """The frame, and what is not in it."""
    if not path.exists() or b"\n" not in path.read_bytes():
        return slices_frame([]), [f"there is no slice in {SLICES} yet"]
    records, torn = read_whole_slices(path)
    missing = [f"{torn} truncated line at the end of {SLICES} is left out"] if torn else []
    return slices_frame(records), missing


def _config_so_far(path: Path) -> Mapping[str, Any]:
    config = read_config(path, "config")
    if not isinstance(config, dict):
        raise ConfigError("config", path, "is not the configuration of a run")
    return config
