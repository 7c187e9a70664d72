"""What the commands beside the main one have in common: help, complaints, exit codes."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence

from hrfs.experiment.errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, ConfigError
from hrfs.experiment.files import let_no_others_write


def run_command(
    name: str, help_text: str, arguments: Sequence[str] | None, work: Callable[[list[str]], None]
) -> None:
    """Do ``work`` on the arguments (``sys.argv`` by default), or print the help.

    Exit codes: 0 done, 2 input that must be mended (one line on standard error, and nothing
    is written), 130 interrupted.
    """
    typed = list(sys.argv[1:] if arguments is None else arguments)
    if any(argument in ("-h", "--help") for argument in typed):
        print(help_text, end="")
        return
    let_no_others_write()
    try:
        work(typed)
    except ConfigError as fault:
        print(f"{name}: {fault}", file=sys.stderr)
        sys.exit(EXIT_BAD_INPUT)
    except BrokenPipeError:
        return  # the reader of the figures has seen enough; the files are written
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
