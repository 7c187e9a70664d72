"""Exploit and explore at interval boundaries, within each population."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.random import Generator

from hrfs.core.decisions import Exploit
from hrfs.core.pbt import explore, merit
from hrfs.core.settings import Settings
from hrfs.core.standings import Standings
from hrfs.core.state import Trial

_TRIES = 32
"""Donors that are tried, one after the other; nearly always the first one will do."""


class Evolution:
    """Keeps the standings of each population, and has its worst take over from its best.

    Populations know nothing of one another: the same trials with the same scores get the same
    exploits, whether or not others are trained beside them.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._standings = tuple(Standings() for _ in range(len(settings.populations)))

    def forget(self, trial: int) -> None:
        """Drop a trial that is no longer one of its population."""
        self._standings_of(trial).forget(trial)

    def go_back(self, trial: Trial) -> None:
        """The trial has gone back to its iteration: what it scored behind that is forgotten."""
        generation = trial.iteration // self._settings.interval_iterations
        self._standings_of(trial.number).forget_after(trial.number, generation)

    def cross(self, trial: Trial, from_iteration: int) -> bool:
        """Note the score of a trial whose slice crossed a multiple of the interval.

        Returns:
            Whether it did, was scored, and trains on: whether it may exploit now.
        """
        interval = self._settings.interval_iterations
        generation = trial.iteration // interval
        if trial.last_score is None or generation == from_iteration // interval:
            return False
        worth = merit(trial.last_score, self._settings.mode)
        self._standings_of(trial.number).record(trial.number, generation, worth)
        return trial.iteration < self._settings.stop_iterations

    def exploit(self, trial: Trial, trials: Mapping[int, Trial]) -> Exploit | None:
        """Have ``trial`` take over weights of its population and vary its values, if it is to.

        To be called once, when the trial has just crossed a boundary. Changes the trial:
        weights and hyperparameters together, never its iterations.
        """
        settings, quantile = self._settings, self._settings.pbt.quantile
        standings = self._standings_of(trial.number)
        standing = standings.of(trial.number)
        if standing is None or not standing.is_lower(quantile, 0.0):
            return None  # whatever were drawn
        # A stream of its own per (seed, member, iteration): no state to keep or to restore.
        identity = settings.populations.identity(trial.number)
        rng = np.random.default_rng((*identity, trial.iteration))
        if not standing.is_lower(quantile, rng.random()):
            return None
        donors: Sequence[int] = standing.donors(quantile)
        if standing.diverged and not donors:
            donors = standings.rescuers(trial.number, quantile)
        number = _draw_donor(donors, trials, trial.iteration, rng)
        if number is None:
            return None
        donor = trials[number]
        assert donor.checkpoint is not None
        after, operations = explore(donor.hyperparameters, settings.search_space, settings.pbt, rng)
        done = Exploit(
            trial=trial.number,
            donor=donor.number,
            iteration=trial.iteration,
            donor_iteration=donor.iteration,
            checkpoint=donor.checkpoint,
            before=trial.hyperparameters,
            after=after,
            operations=operations,
        )
        trial.before = trial.saved()  # its own weights: a copy shares the donor's damage
        trial.hyperparameters, trial.checkpoint = after, donor.checkpoint
        trial.parent = donor.number
        return done

    def _standings_of(self, trial: int) -> Standings:
        return self._standings[self._settings.populations.of(trial)]


def _draw_donor(
    donors: Sequence[int], trials: Mapping[int, Trial], iteration: int, rng: Generator
) -> int | None:
    """One of the healthy donors that are at ``iteration`` at least, all equally likely.

    If there is none such, one of the healthy: where slices end between boundaries, a donor may
    have passed the same boundary and yet be younger by part of an interval. Of very many donors
    only so many are tried.
    """
    if len(donors) <= _TRIES:
        order = rng.permutation(len(donors))
    else:
        order = rng.integers(len(donors), size=_TRIES)
    younger: int | None = None
    for at in order.tolist():
        number: int = donors[at]
        if not _is_healthy(trials[number]):
            continue
        if trials[number].iteration >= iteration:
            return number
        younger = number if younger is None else younger
    return younger


def _is_healthy(donor: Trial) -> bool:
    """Whether the donor has a checkpoint worth having: its last slice did not diverge.

    A trial may diverge between two boundaries, which its standing does not show yet.
    """
    score = donor.last_score
    sound = donor.parent is not None or score is None or math.isfinite(score)
    return sound and donor.checkpoint is not None
