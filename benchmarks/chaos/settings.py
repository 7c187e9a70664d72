"""What a run under chaos is, and the folder in which its processes leave notes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

SLOWNESS = "HRFS_CHAOS_SLOWNESS"
"""Environment of a node's processes: factor of an iteration's time."""
NODE = "HRFS_CHAOS_NODE"
"""Environment of a node's processes: its name."""
CONF = Path(__file__).parent / "conf"


@dataclass(frozen=True, slots=True)
class Settings:
    """A population, its nodes and how often something is killed."""

    kills: int
    every_s: float
    """Seconds between two kills on average, or less: the last kill comes before the run's end."""
    seed: int
    trials: int
    stop_iterations: int
    interval_iterations: int
    pace_s: float
    """Least seconds of an iteration on a node of slowness 1."""
    nodes: Mapping[str, float]
    """Slowness of each node; all have one CPU, hence one worker."""
    stall_s: float = 180.0
    """If nothing happens for so long, the run is held to hang."""
    hung_least_s: float = 10.0
    """``cluster.hung_least_s``: a process that was stopped is given up no sooner."""
    hung_unknown_s: float = 120.0
    """``cluster.hung_unknown_s``: what a process may take to start."""

    def overrides(self, folder: Path, notes: Path, address: str) -> list[str]:
        """Arguments of ``python -m hrfs``."""
        return [
            "--config-dir",
            str(CONF),
            "experiment=chaos",
            f"seed={self.seed}",
            f"population.size={self.trials}",
            f"population.stop_iterations={self.stop_iterations}",
            f"population.interval_iterations={self.interval_iterations}",
            f"model.pace_s={self.pace_s}",
            f"model.notes={notes}",
            f"cluster.address={address}",
            f"cluster.hung_least_s={self.hung_least_s}",
            f"cluster.hung_unknown_s={self.hung_unknown_s}",
            f"hydra.run.dir={folder}",
        ]


def long_form(kills: int, every_s: float, seed: int) -> Settings:
    """Four unlike nodes; undisturbed they work for about half of the time of the kills."""
    nodes = {"fast": 1.0, "middle": 1.5, "slow": 2.5, "slower": 4.0}
    return _settings(kills, every_s, seed, 8, 20, 0.05, nodes, share=0.5)


def short_form(kills: int, every_s: float, seed: int) -> Settings:
    """Two nodes and four trials."""
    return _settings(kills, every_s, seed, 4, 16, 0.05, {"fast": 1.0, "slow": 2.0}, share=0.6)


def _settings(
    kills: int,
    every_s: float,
    seed: int,
    trials: int,
    interval: int,
    pace_s: float,
    nodes: dict[str, float],
    share: float,
) -> Settings:
    speed = sum(1 / (pace_s * slowness) for slowness in nodes.values())
    generations = max(3, round(share * kills * every_s * speed / trials / interval))
    stop = generations * interval
    return Settings(kills, every_s, seed, trials, stop, interval, pace_s, MappingProxyType(nodes))


class Notes:
    """A folder shared by the processes of a run and whoever kills them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def order(self, what: str) -> Path:
        """The file that orders the next process that does ``what`` to die in the middle."""
        return self._folder / f"die-in-{what}"

    def obeyed(self, what: str, node: str) -> Path:
        """What the order becomes when a process on ``node`` takes it."""
        return self._folder / f"died-in-{what}-on-{node}"

    def take_obeyed(self, what: str) -> str | None:
        """On which node the order was obeyed, once it was."""
        prefix = self.obeyed(what, "").name
        for path in self._folder.glob(f"{prefix}*"):
            path.unlink()
            return path.name.removeprefix(prefix)
        return None

    def count_step(self) -> None:
        """A byte for a step; it outlives the process, however that ends."""
        with (self._folder / f"steps-{os.getpid()}").open("ab") as stream:
            stream.write(b".")

    def steps(self) -> int:
        """All steps that any process has done."""
        return sum(path.stat().st_size for path in self._folder.glob("steps-*"))
