"""Where the console writes: standard output, which may be a terminal, a file or a pipe."""

from __future__ import annotations

import errno
import os
import sys

from rich.console import Console

WIDTH = 100
"""Columns when the output is no terminal."""


class Screen(Console):
    """A rich console that leaves it to its caller what a closed pipe means.

    Rich itself ends the program then (``hrfs | head`` would end the training).
    """

    def on_broken_pipe(self) -> None:
        """Fall silent.

        Raises:
            BrokenPipeError: always.
        """
        self.quiet = True
        if self.file is sys.stdout:  # or Python complains when it flushes at its exit
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.close(nowhere)
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def make_screen() -> Screen:
    """Standard output, :data:`WIDTH` columns wide if it is no terminal."""
    screen = Screen(highlight=False)
    return screen if screen.is_terminal else Screen(highlight=False, width=WIDTH)
