"""The end of a run: each population has its winner, and the best of these is the run's."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from hrfs.experiment.errors import StorageError
from hrfs.experiment.files import fill_atomically
from hrfs.experiment.launch import Outcome, PopulationOutcome, RunnerSpec, Status
from hrfs.experiment.plan import Plan
from hrfs.tuning.allocation import Bundle
from hrfs.tuning.winner import Contender, Tested, best_of, evaluate_all

WINNER_FILE = "winner.ckpt"
"""Lightning checkpoint of the best of all winners, in the run's output folder."""
WINNER_SUFFIXES = (".ckpt", ".safetensors")
"""What a winner may be exported as."""


def winner_file(seed: int) -> str:
    """Lightning checkpoint of the winner of one population, where there are several."""
    return f"winner_seed{seed}.ckpt"


def conclude(
    plan: Plan,
    status: Status,
    reason: str,
    contenders: Sequence[Contender],
    runner: RunnerSpec,
    bundles: Sequence[Bundle],
    out_dir: Path,
) -> Outcome:
    """Find the winners, test and export each unless the user interrupted, and say how it went.

    ``reason`` is why the run did not finish, empty if it did.

    Raises:
        StorageError: a winner could not be written.
    """
    winners = _winners(plan, contenders)
    if status == "interrupted":  # who interrupts wants the end, not another minute
        tested = {seed: Tested({}) for seed in plan.seeds}
    else:
        tested = _test(winners, runner, bundles, out_dir)
    best = best_of((w for w in winners.values() if w is not None), plan.mode)
    best_seed = plan.populations.identity(best.trial)[0] if best else plan.seeds[0]
    if best is not None and len(plan.seeds) > 1:
        for suffix in WINNER_SUFFIXES:
            source = (out_dir / winner_file(best_seed)).with_suffix(suffix)
            _publish(source, (out_dir / WINNER_FILE).with_suffix(suffix))
    return Outcome(
        status=status,
        best_trial=best.trial if best else None,
        best_score=best.score if best else None,
        test_metrics=tested[best_seed].metrics,
        reason="; ".join(filter(None, [reason, *_why_untested(tested)])),
        populations=tuple(_outcome(seed, winners[seed], tested[seed]) for seed in plan.seeds),
    )


def _winners(plan: Plan, contenders: Sequence[Contender]) -> dict[int, Contender | None]:
    """The winner of each population, by its seed; None without a finite score."""
    populations = plan.populations
    return {
        seed: best_of((c for c in contenders if populations.of(c.trial) == number), plan.mode)
        for number, seed in enumerate(plan.seeds)
    }


def _test(
    winners: Mapping[int, Contender | None],
    runner: RunnerSpec,
    bundles: Sequence[Bundle],
    out_dir: Path,
) -> dict[int, Tested]:
    """What testing each winner gave, by the seed of its population."""
    several = len(winners) > 1
    known = {
        out_dir / (winner_file(seed) if several else WINNER_FILE): (seed, winner)
        for seed, winner in winners.items()
        if winner is not None
    }
    tested = dict.fromkeys(winners, Tested({}, "no trial has a finite score"))
    if runner.final is None:
        return tested | {seed: Tested({}) for seed, _ in known.values()}
    if not bundles:
        left = Tested({}, "no worker is left to test the winner")
        return tested | {seed: left for seed, _ in known.values()}
    found = evaluate_all(runner, {file: winner for file, (_, winner) in known.items()}, bundles)
    return tested | {seed: found[file] for file, (seed, _) in known.items()}


def _why_untested(tested: Mapping[int, Tested]) -> list[str]:
    """Why winners were not tested, with the seed before it where there are several."""
    if len(tested) == 1:
        return [told.reason for told in tested.values()]
    return [f"seed {seed}: {told.reason}" for seed, told in tested.items() if told.reason]


def _publish(source: Path, target: Path) -> None:
    """Copy ``source`` to ``target``, whole or not at all; nothing if it was not exported."""
    if not source.exists():
        return
    try:
        with source.open("rb") as stream:
            fill_atomically(target, partial(shutil.copyfileobj, stream))
    except OSError as error:
        raise StorageError.of(target, error) from error


def _outcome(seed: int, winner: Contender | None, tested: Tested) -> PopulationOutcome:
    return PopulationOutcome(
        seed=seed,
        best_trial=winner.trial if winner else None,
        best_score=winner.score if winner else None,
        test_metrics=tested.metrics,
        reason=tested.reason,
    )
