"""Ctrl-C and SIGTERM: the first ends a run in good order and in time, the second at once.

Python tells a signal to the main thread alone, and only between two of its instructions: not
while it imports torch or waits inside Ray. So a thread is told too, by way of a pipe that the
interpreter's own handler writes to. It keeps the times that are promised, whatever the main
thread is at. To leave at once is safe, since a run can go on after a SIGKILL as well.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

LEAVE_S = 8.0
"""Seconds from the first signal to the end of the process, however far it has got: ten are
promised, and a busy machine may be slow to end one."""
SAME_S = 0.3
"""A second signal within so many seconds is the first one, sent on by a wrapper as well."""
SIGNALS = (signal.SIGINT, signal.SIGTERM)
NUDGE_S = 0.1
"""Seconds after which a main thread that has not heard of the first signal is sent it again."""
_END = 0
"""No signal's number: tells the thread that nothing is to be caught any more."""


class Interrupts:
    """Whether this process was asked to end, by what and when. One that catches nothing never is.

    Args:
        leave_s: seconds after the first signal at which the process ends in any case.
    """

    def __init__(self, leave_s: float = LEAVE_S) -> None:
        self._leave_s = leave_s
        self._first: int | None = None
        self._since_s: float | None = None
        self._patient = False
        self._advice = ""
        self._handled = False
        self._nudged = False
        self._expected = False
        self._process = os.getpid()
        self.pipe = -1
        """What the interpreter writes each signal's number to; -1 without one."""

    @property
    def requested(self) -> bool:
        """Whether a signal has come."""
        return self._since_s is not None

    @property
    def for_s(self) -> float:
        """Seconds since the first signal, 0 before it."""
        return 0.0 if self._since_s is None else time.monotonic() - self._since_s

    @property
    def exit_code(self) -> int:
        """As a shell has it, 128 and the number of the first signal: 130 Ctrl-C, 143 SIGTERM."""
        return 128 + (signal.SIGINT if self._first is None else self._first)

    @contextmanager
    def patient(self) -> Iterator[None]:
        """In this block, which looks at :attr:`requested`, no KeyboardInterrupt is raised."""
        before, self._patient = self._patient, True
        try:
            yield
        finally:
            self._patient = before

    @contextmanager
    def advising(self, advice: str) -> Iterator[None]:
        """Say ``advice`` too if the process has to end, within this block, without more ado."""
        before, self._advice = self._advice, advice
        try:
            yield
        finally:
            self._advice = before

    def take_signals(self) -> None:
        """Have signals handled here, also after a library has put its own handler in place."""
        if _caught_by is self and threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                signal.signal(number, self._handle)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        """In the main thread, which has it of the first signal only."""
        if os.getpid() != self._process:  # in a child, within the fork: as if we were not there
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
            return
        self._note(number)
        handled, self._handled = self._handled, True
        if not handled and not self._patient:
            raise KeyboardInterrupt

    def _note(self, number: int) -> None:
        """Keep the first signal, of which thread and handler both learn, in either order."""
        if self._since_s is None:
            self._first, self._since_s = number, time.monotonic()

    def watch(self, pipe: int) -> None:
        """Thread: read signals from ``pipe`` until it says so, and end the process in time."""
        told_s: float | None = None
        while True:
            ready, _, _ = select.select([pipe], [], [], self._wait_s())
            numbers = os.read(pipe, 64) if ready else b""
            if _END in numbers:
                return
            for number in (n for n in numbers if n in SIGNALS):
                self._note(number)
                if told_s is None:
                    told_s = time.monotonic()
                    _say(f"interrupted; ending within {self._leave_s + 2:.0f} s; again: at once")
                elif self._expected:
                    self._expected = False
                elif time.monotonic() - told_s >= SAME_S:
                    self._leave("at once")
            self._nudge()
            if self.requested and self.for_s >= self._leave_s:
                self._leave("in no good order, since time was up")

    def _wait_s(self) -> float | None:
        """Until there is something to do without a signal."""
        if not self.requested:
            return None
        due_s = self._leave_s if self._handled or self._nudged else NUDGE_S
        return max(0.0, due_s - self.for_s)

    def _nudge(self) -> None:
        """Interrupt once more what the main thread waits in.

        The kernel may have told another thread, or the main one just before it began to wait, which
        then sleeps on. What this adds to the pipe is no second signal, however late it comes.
        """
        if self._handled or self._nudged or self._first is None or self.for_s < NUDGE_S:
            return
        self._nudged = self._expected = True
        signal.pthread_kill(threading.main_thread().ident or 0, self._first)

    def _leave(self, how: str) -> None:
        _say("; ".join(filter(None, [f"interrupted; ended {how}", self._advice])))
        os._exit(self.exit_code)


def _say(text: str) -> None:
    """Past Python's buffers, whose locks the main thread may hold."""
    line = f"hrfs: {text}\n".encode(errors="replace")
    try:
        os.write(2, line)
    except OSError:
        return  # nobody reads; the end must come all the same


_NONE = Interrupts()
_caught_by: Interrupts = _NONE


def current() -> Interrupts:
    """What catches this process's signals; outside of :func:`catching`, one that never does."""
    return _caught_by


def _in_charge() -> bool:
    return _caught_by is not _NONE and threading.current_thread() is threading.main_thread()


_blocked: set[signal.Signals] | None = None
"""While a child is made: the signals that were blocked before."""


def _before_fork() -> None:
    """A child shares our pipe: what it is sent, and were it at once, is not meant for us.

    Nor is it to be lost, as what comes within the fork would be: it waits until the child is ready.
    """
    global _blocked
    if _in_charge():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        _blocked = {signal.Signals(number) for number in before}
        signal.set_wakeup_fd(-1)


def _after_fork() -> None:
    if _in_charge():
        signal.set_wakeup_fd(_caught_by.pipe, warn_on_full_buffer=False)
        _unblock()


def _in_child() -> None:
    global _caught_by
    if _in_charge():
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _unblock()
    _caught_by = _NONE


def _unblock() -> None:
    global _blocked
    if _blocked is not None:
        before, _blocked = _blocked, None
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


os.register_at_fork(before=_before_fork, after_in_parent=_after_fork, after_in_child=_in_child)


@contextmanager
def catching(leave_s: float = LEAVE_S) -> Iterator[Interrupts]:
    """Catch SIGINT and SIGTERM in this block; KeyboardInterrupt is raised as ever, but once.

    Once a signal has come, the end of the block calls nothing off: the process must end. In
    another thread than the main one, which alone may handle signals, nothing is caught.
    """
    global _caught_by
    if threading.current_thread() is not threading.main_thread() or _caught_by is not _NONE:
        yield _caught_by
        return
    _caught_by = interrupts = Interrupts(leave_s)
    before: dict[signal.Signals, Any] = {number: signal.getsignal(number) for number in SIGNALS}
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    interrupts.pipe = writer
    fd_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    thread = threading.Thread(target=interrupts.watch, args=(reader,), daemon=True)
    thread.start()
    interrupts.take_signals()
    try:
        yield interrupts
    finally:
        if not interrupts.requested:
            for number, handler in before.items():
                signal.signal(number, handler)
            signal.set_wakeup_fd(fd_before)
            os.write(writer, bytes([_END]))
            thread.join()
            os.close(writer)
            os.close(reader)
            _caught_by = _NONE
