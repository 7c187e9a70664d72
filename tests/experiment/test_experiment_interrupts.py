"""Signals in a process of their own: the main thread may be anywhere."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from hrfs.experiment.interrupts import catching, current

ROOT = Path(__file__).resolve().parents[2]
BUSY = """
import ctypes, sys, time
from hrfs.experiment.interrupts import catching, current

def deaf():
    # As inside a library that waits: no Python instruction of the main thread any more.
    mutex = ctypes.create_string_buffer(64)
    for _ in range(2):
        ctypes.CDLL(None).pthread_mutex_lock(mutex)

with catching(leave_s=5.0) as interrupts, interrupts.advising("do go on"):
    try:
        print("ready", flush=True)
        {body}
    except KeyboardInterrupt:
        print("caught", flush=True)
        time.sleep(0.2)
        sys.exit(interrupts.exit_code)
"""


def run(body: str, *signals: tuple[float, signal.Signals]) -> tuple[int, str, float]:
    """Exit code, output and seconds from the first of ``signals``, each after its pause, on."""
    with subprocess.Popen(
        [sys.executable, "-c", BUSY.format(body=body)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        began_s: float | None = None
        for pause_s, number in signals:
            time.sleep(pause_s)
            process.send_signal(number)
            began_s = began_s or time.monotonic()
        printed = process.stdout.read()
        process.wait(timeout=30)
        assert began_s is not None
        return process.returncode, printed, time.monotonic() - began_s


pytestmark = [pytest.mark.slow, pytest.mark.timeout(60)]


def test_once_raises_in_the_main_thread() -> None:
    code, printed, _ = run("time.sleep(20)", (0, signal.SIGINT))
    assert code == 130
    assert "caught" in printed
    assert "hrfs: interrupted; ending within 7 s; again: at once\n" in printed


def test_sigterm_has_a_code_of_its_own() -> None:
    code, printed, _ = run("time.sleep(20)", (0, signal.SIGTERM))
    assert (code, "caught" in printed) == (143, True)


def test_a_main_thread_that_the_signal_passed_by_is_told_again() -> None:
    body = """
        import os, signal, threading
        def take_it():
            signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        threading.Timer(0.3, take_it).start()
        time.sleep(20)
    """
    code, printed, took_s = run(body.strip(), (0, signal.SIGCONT))
    assert (code, "caught" in printed, "at once\n" in printed) == (143, True, True)
    assert "ended" not in printed
    assert took_s < 4.9, "not by the thread that ends it when time is up"


def test_a_main_thread_that_hears_nothing_is_ended_in_time() -> None:
    code, printed, took_s = run("with interrupts.patient(): deaf()", (0, signal.SIGINT))
    assert code == 130
    assert 4.9 <= took_s < 9
    told = "hrfs: interrupted; ended in no good order, since time was up; do go on\n"
    assert told in printed


def test_twice_ends_at_once_whatever_the_main_thread_is_at() -> None:
    twice = (0, signal.SIGINT), (0.5, signal.SIGINT)
    code, printed, took_s = run("with interrupts.patient(): deaf()", *twice)
    assert code == 130
    assert took_s < 4.9, "earlier than it would be ended for once"
    assert "hrfs: interrupted; ended at once; do go on\n" in printed


def test_a_signal_that_a_wrapper_sends_on_counts_once() -> None:
    twice = (0, signal.SIGINT), (0.02, signal.SIGINT)
    code, printed, _ = run("time.sleep(20)", *twice)
    assert (code, printed.count("caught"), printed.count("at once\n")) == (130, 1, 1)


def test_in_a_patient_block_nothing_is_raised() -> None:
    body = """
        with interrupts.patient():
            while not current().requested:
                time.sleep(0.01)
            assert current().for_s < 1.0
        print("patient", flush=True)
    """
    code, printed, _ = run(body.strip(), (0, signal.SIGINT))
    assert (code, printed.splitlines()[-1]) == (0, "patient")


def test_a_forked_child_is_ended_without_us() -> None:
    body = """
        import os, signal, multiprocessing
        child = multiprocessing.get_context("fork").Process(target=time.sleep, args=(20,))
        child.start()
        child.terminate()
        child.join()
        assert (child.exitcode, interrupts.requested) == (-15, False)
        print("alone", flush=True)
        time.sleep(0.3)
        sys.exit(0 if not interrupts.requested else 9)
    """
    code, printed, _ = run(body.strip(), (2.0, signal.SIGCONT))
    assert (code, printed) == (0, "alone\n")


def test_what_was_before_is_put_back() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with catching() as outer:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        outer.take_signals()
        assert signal.getsignal(signal.SIGTERM) == signal.getsignal(signal.SIGINT)
        with catching() as inner:
            assert inner is outer is current()
    assert before == [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    assert current() is not outer
    assert (current().requested, current().for_s, current().exit_code) == (False, 0.0, 130)
