"""The command line before Hydra reads it: without a model or an experiment it is the demo."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

DEFAULT_EXPERIMENT = "experiment=demo"
_NO_EXPERIMENT = "experiment=null"
_RESUME = "resume="
_NAMES_WHAT_TO_RUN = re.compile(r"[+~]*(model|experiment)(@[^=]*)?(=|$)")
_BRINGS_OWN_CONFIGURATION = ("-cn", "-cp", "--config-name", "--config-path", "--experimental-rerun")
_COMPLETES = ("-sc", "--shell-completion")
_TAKES_VALUE = (*_BRINGS_OWN_CONFIGURATION, "-cd", "--config-dir", "-c", "--cfg", "-p", "--package")
_MAY_TAKE_VALUE = ("-i", "--info")


def for_hydra(typed: Sequence[str]) -> list[str]:
    """The arguments as Hydra is to see them: overrides first, in one row, then options.

    argparse would refuse overrides on both sides of an option. ``experiment=demo`` is added if
    nothing says what to run: no override of ``model`` or ``experiment``, no whole
    configuration of the user's own. It comes first, so what is typed wins. ``experiment=null``
    says that it is not wanted, and is dropped, for Hydra takes no null from a command line.
    """
    options, overrides = split(typed)
    completes = any(_is_one_of(option, _COMPLETES) for option in options)
    own = any(_is_one_of(option, _BRINGS_OWN_CONFIGURATION) for option in options)
    decided = any(_NAMES_WHAT_TO_RUN.match(override) for override in overrides)
    kept = [override for override in overrides if override != _NO_EXPERIMENT]
    default = [] if completes or own or decided else [DEFAULT_EXPERIMENT]
    return [*default, *kept, *options]


def split(typed: Sequence[str]) -> tuple[list[str], list[str]]:
    """Options with their values, and overrides, each in the order in which they were typed."""
    options: list[str] = []
    overrides: list[str] = []
    previous = ""
    for argument in typed:
        value_expected = _is_one_of(previous, _TAKES_VALUE) and "=" not in previous
        value_allowed = _is_one_of(previous, _MAY_TAKE_VALUE) and argument.isidentifier()
        belongs_to_option = value_expected or value_allowed or argument.startswith("-")
        (options if belongs_to_option else overrides).append(argument)
        previous = "" if value_expected else argument
    return options, overrides


def to_resume(typed: Sequence[str]) -> tuple[Path, list[str]] | None:
    """The folder that ``resume=`` names, and all else that was typed; None without it."""
    asked = [argument for argument in typed if argument.startswith(_RESUME)]
    if not asked:
        return None
    rest = [argument for argument in typed if argument not in asked[-1:]]
    return Path(asked[-1].removeprefix(_RESUME)), rest


def own_config_dirs(options: Sequence[str]) -> list[Path]:
    """The folders given by ``--config-dir``."""
    names = ("-cd", "--config-dir")
    after = [value for name, value in pairwise(options) if name in names]
    joined = [option.partition("=")[2] for option in options if option.startswith("--config-dir=")]
    return [Path(folder) for folder in after + joined]


def _is_one_of(argument: str, names: Sequence[str]) -> bool:
    """Whether ``argument`` is one of these options, perhaps shortened, as argparse allows."""
    option = argument.partition("=")[0]
    if option.startswith("--") and len(option) > len("--c"):
        return any(name.startswith(option) for name in names)
    return option in names
