"""The constants of ``scheduler=hrfs``, with what each of them is for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FusionSettings:
    """One set of defaults for every cluster; see ``docs/policy.md`` for how they were chosen."""

    lag_intervals: float = 1.0
    """How far a trial may fall behind the others while a slower worker holds it, in K."""
    lag_share: float = 0.15
    """The same as a share of the iterations that are left on average: it shrinks to the end."""
    stay_intervals: float = 0.8
    """A worker keeps its trial while that is no further ahead of the most lagging one, in K."""
    horizon_share: float = 0.1
    """Longest slice, as a share of the time that is left."""
    faster_by: float = 1.25
    """A worker counts as faster than another if it is by this factor."""
    late_share: float = 0.3
    """A slice may take so much longer than until a faster worker should come for its trial."""
    late_iterations: float = 0.4
    """And so many iterations more."""
    patience_lags: float = 3.0
    """But not if its trial already lags so many times as far as it may."""
    swap_lags: float = 2.5
    """A trial so many times as far ahead as another may lag is given up for one that lags."""
    swap_patience_iterations: float = 0.5
    """Waiting for that one instead of training on, at most."""
    overheads: float = 10.0
    """A slice need not be cut to less than so many times the overhead that it costs."""
    slack: float = 1.02
    """The end may be put off by this factor for a slice's sake."""
    probe_share: float = 0.02
    """First slice on a worker of unknown speed, as a share of K."""
    unmeasured_iterations: int = 3
    """Longest slice on any worker while others wait to be measured."""
    probing_share: float = 0.5
    """Share of the trials that may be held to measure workers, whoever else needs them."""
    second_probe_share: float = 0.01
    """A worker is measured twice before it is sent away, if that takes so little of the time
    that is left: the first iterations on a machine are often slower than all later ones."""
