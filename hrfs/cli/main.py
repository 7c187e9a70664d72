"""Entry point. Imports no Hydra before it is needed: help comes at once."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from hrfs.cli.arguments import for_hydra, own_config_dirs, split, to_resume
from hrfs.cli.help import help_text, wants_help
from hrfs.experiment.errors import EXIT_BAD_INPUT, EXIT_INTERRUPTED, ConfigError
from hrfs.experiment.files import let_no_others_write
from hrfs.experiment.interrupts import catching


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line (``sys.argv`` by default) and exit.

    Exit codes: 0 finished, 1 given up or an unexpected error (with its traceback), 2 input
    that must be mended (one line on standard error), 130 interrupted, 143 ended by SIGTERM. Of
    a sweep: 0 all jobs finished, 1 one of them did not, 2 nothing ran.
    """
    typed = list(sys.argv[1:] if arguments is None else arguments)
    options, _ = split(typed)
    if wants_help(options):
        print(help_text(own_config_dirs(options)), end="")
        return
    let_no_others_write()
    with catching() as interrupts:
        code = _run(typed)
        sys.exit(interrupts.exit_code if code == EXIT_INTERRUPTED else code)


def _run(typed: Sequence[str]) -> int:
    try:
        resumed = to_resume(typed)
        return _resume(*resumed) if resumed else _compose(typed)
    except ConfigError as fault:
        print(f"hrfs: {fault}", file=sys.stderr)
        return EXIT_BAD_INPUT
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED


def _compose(typed: Sequence[str]) -> int:
    from hrfs.cli.compose import compose_and_run

    return compose_and_run(for_hydra(typed))


def _resume(folder: Path, others: Sequence[str]) -> int:
    from hrfs.cli.compose import EXIT_CODES
    from hrfs.cli.resume import resume_run

    return EXIT_CODES[resume_run(folder, others)]
