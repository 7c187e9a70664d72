"""What a job prints goes to files in its own folder, by whatever way it prints."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

STDOUT_FILE = "stdout.log"
STDERR_FILE = "stderr.log"


@contextmanager
def output_to(folder: Path) -> Iterator[None]:
    """Append standard output and error to ``stdout.log`` and ``stderr.log`` in ``folder``.

    The descriptors are redirected too, so that children of this process and libraries in C
    are heard. A second attempt at a job appends to what the first one printed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (
        (folder / STDOUT_FILE).open("a", buffering=1, encoding="utf-8") as out,
        (folder / STDERR_FILE).open("a", buffering=1, encoding="utf-8") as err,
        _descriptor(1, out.fileno()),
        _descriptor(2, err.fileno()),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        yield


@contextmanager
def _descriptor(number: int, target: int) -> Iterator[None]:
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    kept = os.dup(number)
    os.dup2(target, number)
    try:
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)
