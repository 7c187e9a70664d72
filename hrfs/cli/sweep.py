"""A sweep from its arguments to its folder: what is refused, and where its jobs write."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf

from hrfs.cli.arguments import split
from hrfs.experiment.errors import ConfigError

_MULTIRUN = ("-m", "--multirun", "hydra.mode=MULTIRUN")


@dataclass(slots=True)
class Sweep:
    """What is known of the sweep that Hydra has begun; nothing until then, or without one."""

    folder: Path | None = None
    console: str = "auto"
    _before: set[tuple[Path, int]] = field(default_factory=set)

    def begin(self, folder: Path, console: str) -> None:
        """Keep where the jobs will write, and which runs are there already."""
        self.folder, self.console = folder, console
        self._before = self._started()

    def job_folders(self) -> list[Path]:
        """Folders of runs, those of an earlier sweep in the same folder included."""
        from hrfs.reporting.runs import runs_below

        if self.folder is None or not self.folder.is_dir():
            return []
        return list(runs_below(self.folder))

    def anything_ran(self) -> bool:
        """Whether any job of this sweep got past its checks and wrote its configuration."""
        return not self._started() <= self._before

    def _started(self) -> set[tuple[Path, int]]:
        files = [folder / "config.yaml" for folder in self.job_folders()]
        return {(file, file.stat().st_mtime_ns) for file in files if file.is_file()}


_watched: ContextVar[Sweep | None] = ContextVar("hrfs_sweep", default=None)


@contextmanager
def watching() -> Iterator[Sweep]:
    """Learn where a sweep that begins in this block writes; no sweep, no folder."""
    sweep = Sweep()
    token = _watched.set(sweep)
    try:
        yield sweep
    finally:
        _watched.reset(token)


class NoteSweep(Callback):
    """Hydra's callback of ``conf/config.yaml`` that notes the folder, once and in the driver.

    At the start, for Hydra does not call at the end of a sweep of which a job has failed.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """``config`` is the composed configuration of the sweep, ``hydra`` included."""
        sweep = _watched.get()
        if sweep is not None:
            console = OmegaConf.select(config, "report.console", default="auto")
            sweep.begin(Path(config.hydra.sweep.dir).absolute(), str(console))


def refuse_repeats(arguments: Sequence[str]) -> None:
    """Refuse a sweep that would do the same run twice, before anything starts.

    Raises:
        ConfigError: a value is listed twice for one key, ``-m seed=0,0``.
    """
    options, overrides = split(arguments)
    if not any(argument in _MULTIRUN for argument in (*options, *overrides)):
        return
    parser = OverridesParser.create()
    for text in overrides:
        try:
            override = parser.parse_override(text)
        except (HydraException, ValueError):
            continue  # Hydra complains of it next
        if override.is_sweep_override() and override.is_discrete_sweep():
            _refuse_repeat(text, override)


def _refuse_repeat(text: str, override: Override) -> None:
    key = override.get_key_element().lstrip("+~")
    seen = set()
    for value in _values(key, override):
        if value in seen:
            listed = text.partition("=")[2]
            rule = f"lists {value} twice, which would be the same run twice"
            raise ConfigError(key, listed, rule, "leave out one of the two")
        seen.add(value)


def _values(key: str, override: Override) -> Iterator[str]:
    """Each value as Hydra would hand it to a job; of ``seeds`` each seed."""
    for text in override.sweep_string_iterator():
        value = yaml.safe_load(text) if key in ("seed", "seeds") else text
        if key == "seeds" and isinstance(value, list):
            yield from map(str, value)
        elif value is not None:
            yield str(value)
