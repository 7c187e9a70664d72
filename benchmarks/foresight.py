"""How often it is known, when a slice begins, which state its worker will need next.

    python -m benchmarks.foresight                # 12 simulated clusters; 5 s

A state that is known could be fetched while the worker still trains. The guess is what the policy
would choose for the worker right after it has begun its slice, were it free then. A worker that
stays with its trial holds the state already, and fetches none.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass, field

from rich.console import Console
from rich.table import Table

from benchmarks.scheduling.suites import design, slow_many
from hrfs.core.policies import make_policy
from hrfs.core.policy import Policy, Start
from hrfs.core.scheduler import Scheduler
from hrfs.core.state import RunningSlice
from hrfs.simulator.driver import play
from hrfs.simulator.spec import Workload

SUITES: dict[str, Callable[[int], Workload]] = {"design": design, "slow_many": slow_many}
Held = tuple[int, int]
"""A trial, and its iteration."""


@dataclass
class Count:
    """Of the slices of one suite."""

    stays: int = 0
    moves: int = 0
    guessed: int = 0
    """States that would have been fetched."""
    right: int = 0
    """Of them, states that were needed next."""


@dataclass
class Watch:
    """Shown the core after each event; see :func:`~hrfs.simulator.driver.play`."""

    policy: Policy
    count: Count
    _seen: int = 0
    _guesses: dict[str, Held | None] = field(default_factory=dict)
    _last: dict[str, int] = field(default_factory=dict)

    def __call__(self, core: Scheduler) -> None:
        """Judge the guesses for the slices that have begun, and make the next."""
        begun = [s for number, s in core.state.running.items() if number >= self._seen]
        for one in begun:
            self._judge(one)
        for one in begun:
            self._guesses[one.worker] = self._guess(core, one)
        self._seen = core.state.next_slice

    def _judge(self, begun: RunningSlice) -> None:
        last, self._last[begun.worker] = self._last.get(begun.worker), begun.trial
        guess = self._guesses.get(begun.worker)
        if last is None:
            return
        if guess is not None:
            self.count.guessed += 1
        if last == begun.trial:
            self.count.stays += 1
        else:
            self.count.moves += 1
            self.count.right += guess == (begun.trial, begun.from_iteration)

    def _guess(self, core: Scheduler, begun: RunningSlice) -> Held | None:
        if not core.state.waiting:
            return None
        worker = core.state.workers[begun.worker]
        choice = self.policy.choose(core.snapshot(begun.started_s), worker)
        if not isinstance(choice, Start):
            return None
        return choice.trial, core.state.trials[choice.trial].iteration


def measure(suite: str, clusters: int) -> Count:
    """Simulate ``clusters`` clusters of ``suite`` under ``scheduler=hrfs``."""
    count = Count()
    for seed in range(clusters):
        policy = make_policy("hrfs")
        play(SUITES[suite](seed), policy, Watch(policy, count))
    return count


def main() -> None:
    """Print one row per suite."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--clusters", type=int, default=6, help="of each suite")
    options = parser.parse_args()
    table = Table(title="which state a worker needs next, guessed when its slice begins")
    for column in ("suite", "slices", "stay", "fetched by guess", "of them needed", "loads saved"):
        table.add_column(column, justify="right")
    for suite in SUITES:
        count = measure(suite, options.clusters)
        slices = count.stays + count.moves
        needed, saved = count.right / count.guessed, count.right / count.moves
        shares = f"{count.stays / slices:.0%}", str(count.guessed), f"{needed:.0%}", f"{saved:.0%}"
        table.add_row(suite, str(slices), *shares)
    Console().print(table)


if __name__ == "__main__":
    main()
