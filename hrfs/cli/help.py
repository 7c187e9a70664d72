"""The text of ``--help``, made without Hydra, whose own takes a second to list the groups."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hrfs.cli.paths import config_dir

_HELP_OPTIONS = ("-h", "--help")
_GROUPS_OF_OTHERS = ("hydra",)
_WIDTH = 14

_HEAD = """\
hrfs: population-based training on clusters of unlike machines.

usage: python -m hrfs [group=choice ...] [key=value ...] [option ...]

With neither model= nor experiment= it runs experiment=demo: small networks on embedded
images, on workers emulated on this machine, in under two minutes. experiment=null gives
the plain defaults, which are the paper's.

groups (group=choice)
"""

_TAIL = """
common overrides (key=value)
  population.size=20                  trials in the population
  population.stop_iterations=1000     optimizer steps of each trial
  population.interval_iterations=50   steps between exploits
  population.target_score=0.8         score at which the target counts as reached
  population.search_space.lr=[loguniform,0.001,1]
                                      where first values are drawn from
  dataset.root=DIR                    where the files of the dataset lie
  dataset.download=true               fetch them if they are not there
  model.stem=cifar                    first layers of a ResNet: imagenet or cifar
  report.every_s=300                  seconds between printed tables
  report.console=plain                auto, live, plain or quiet
  seed=0                              all randomness follows from it
  seeds=[0,1,2]                       a population for each, in one run on the same workers
  hydra.run.dir=DIR                   where the results go
  resume=DIR                          go on with the run in DIR, which was cut off

examples
  python -m hrfs scheduler=hrfs model=resnet50 dataset=cifar100
  python -m hrfs dataset=fashion_mnist dataset.root=DIR report.console=plain

options
  --cfg job          print the composed configuration and stop
  --info             print where the configuration comes from and stop
  --config-dir DIR   look for your own model/, dataset/ or cluster/ files in DIR as well
  --multirun, -m     run every combination of the listed values, e.g. seed=0,1,2
  -sc install=bash   print the shell completion of the command hrfs, for eval
  --hydra-help       options of Hydra, which composes the configuration
"""


def wants_help(options: Sequence[str]) -> bool:
    """Whether one of the command line's ``options`` asks for help."""
    return any(option in _HELP_OPTIONS for option in options)


def help_text(own_dirs: Sequence[Path] = ()) -> str:
    """The whole text; ``own_dirs`` are the user's configuration folders, listed as well."""
    options = group_options([config_dir(), *own_dirs])
    lines = [f"  {group:<{_WIDTH}}{', '.join(names)}" for group, names in options.items()]
    return _HEAD + "\n".join(lines) + "\n" + _TAIL


def group_options(folders: Sequence[Path]) -> dict[str, list[str]]:
    """Options of every configuration group that has a file in one of the ``folders``."""
    options: dict[str, set[str]] = {}
    for folder in folders:
        for file in folder.glob("*/*.yaml"):
            if file.parent.name not in _GROUPS_OF_OTHERS:
                options.setdefault(file.parent.name, set()).add(file.stem)
    return {group: sorted(options[group]) for group in sorted(options)}
