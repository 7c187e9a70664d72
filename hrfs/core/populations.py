"""Several populations over one pool of workers: which trial belongs to which.

Trials are numbered through: those of the first population come first. A population is known by
its seed, and a trial within it by its member number, so that a population draws the same
values whether it trains alone or beside others.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Populations:
    """One population per seed, each of ``size`` trials.

    Raises:
        ValueError: no seed, a negative one or one twice, or several and no size.
    """

    seeds: tuple[int, ...] = (0,)
    size: int | None = None
    """Trials of each population; None: any number, where there is one population."""

    def __post_init__(self) -> None:
        if not self.seeds or min(self.seeds) < 0 or len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds={self.seeds}: must be unlike numbers of at least 0")
        if self.size is None and len(self.seeds) > 1:
            raise ValueError(f"{len(self.seeds)} seeds: the size of the populations must be given")
        if self.size is not None and self.size < 1:
            raise ValueError(f"size={self.size}: must be at least 1")

    def __len__(self) -> int:
        return len(self.seeds)

    def of(self, trial: int) -> int:
        """Number of the population that ``trial`` belongs to, from 0.

        Raises:
            ValueError: there are fewer trials.
        """
        return self._place(trial)[0]

    def identity(self, trial: int) -> tuple[int, int]:
        """``(seed, member)`` of ``trial``: all its randomness is a function of these.

        Raises:
            ValueError: there are fewer trials.
        """
        population, member = self._place(trial)
        return self.seeds[population], member

    def members(self, population: int) -> range:
        """Numbers of the trials of one population.

        Raises:
            ValueError: the populations have no fixed size.
        """
        if self.size is None:
            raise ValueError("a population of any size has no known members")
        return range(population * self.size, (population + 1) * self.size)

    def _place(self, trial: int) -> tuple[int, int]:
        if self.size is None:
            return 0, trial
        population, member = divmod(trial, self.size)
        if not 0 <= population < len(self.seeds):
            raise ValueError(f"trial {trial}: there are {len(self.seeds)} times {self.size}")
        return population, member
