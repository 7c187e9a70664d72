"""Two processes and one folder, at the same moment: one gets it, the other is told."""

from __future__ import annotations

import multiprocessing
import os
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from hrfs.cli.folder import claim, hold
from hrfs.experiment.errors import ConfigError

ROUNDS = 20


def begin(folder: Path, barrier: Barrier, answers: multiprocessing.SimpleQueue[str]) -> None:
    """Try to begin a run in each folder, at the same moment as the others."""
    for number in range(ROUNDS):
        barrier.wait(30)
        try:
            claim(folder / str(number), f"by: {os.getpid()}\n", [])
            with hold(folder / str(number)):
                answers.put(f"{number} {os.getpid()}")
                barrier.wait(30)
        except ConfigError as refusal:
            answers.put(f"{number} {refusal.rule}")
            barrier.wait(30)


def resume(folder: Path, barrier: Barrier, answers: multiprocessing.SimpleQueue[str]) -> None:
    """Try to go on with the run in each folder, at the same moment as the others."""
    for number in range(ROUNDS):
        barrier.wait(30)
        try:
            with hold(folder / str(number), "resume"):
                answers.put(f"{number} {os.getpid()}")
                barrier.wait(30)
        except ConfigError as refusal:
            answers.put(f"{number} {refusal.rule}")
            barrier.wait(30)


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("work", [begin, resume])
def test_of_two_at_the_same_moment_one_gets_the_folder(tmp_path: Path, work: object) -> None:
    context = multiprocessing.get_context("spawn")
    barrier, answers = context.Barrier(2), context.SimpleQueue()
    for number in range(ROUNDS):
        (tmp_path / str(number)).mkdir()
        if work is resume:
            claim(tmp_path / str(number), "seed: 1\n", [])
    pair = [context.Process(target=work, args=(tmp_path, barrier, answers)) for _ in range(2)]
    for process in pair:
        process.start()
    told = [answers.get().split(" ", 1) for _ in range(2 * ROUNDS)]
    for process in pair:
        process.join(60)
        assert process.exitcode == 0
    refusal = {begin: "already holds the results of a run", resume: "a run is under way in it"}
    pids = {str(process.pid) for process in pair}
    for number in range(ROUNDS):
        winner, loser = sorted(
            (answer for which, answer in told if which == str(number)), key=lambda a: a not in pids
        )
        assert (winner in pids, loser) == (True, refusal[work])
        if work is begin:
            assert (tmp_path / str(number) / "config.yaml").read_text() == f"by: {winner}\n"
