"""The folder of a real run, as far as a replay needs it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from hrfs.cli.simulate_arguments import FROM_RUN
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.records import SliceRecord, iterations_reached

FILES = ("config.yaml", "slices.csv")
_EXAMPLE = "give the folder of a run, such as outputs/2026-01-31/12-00-00"


@dataclass(frozen=True, slots=True)
class PastRun:
    """What a run was to do, and what it did."""

    folder: Path
    trials: int
    """Of each population."""
    seeds: tuple[int, ...] | None
    """One for each population; None is one population."""
    stop_iteration: int
    interval: int
    scheduler: str
    request: str
    """Kind of worker that the trials of ``ray_pbt`` asked for."""
    max_staleness_iterations: int | None
    """How far a trial of ``hrfs`` might be ahead of the least advanced one."""
    records: list[SliceRecord]
    gone: frozenset[str]
    """Workers that had left when the run ended."""
    notes: tuple[str, ...]
    """What a replay assumes because the run does not tell it, in sentences."""


@dataclass(frozen=True, slots=True)
class _Ending:
    """How a run ended."""

    workers: set[str]
    """All that ever were."""
    present: set[str]
    """Those that were there at the end."""
    failures: int


def read_run(folder: Path) -> PastRun:
    """Read ``config.yaml``, ``slices.csv`` and, if the run wrote it, ``summary.json``.

    Raises:
        ConfigError: ``folder`` is none of a run, or one of the files cannot be read.
    """
    from hrfs.reporting import read_slices

    given = f"{FROM_RUN}{folder}"
    if not folder.is_dir():
        raise ConfigError("workload", given, "there is no such folder", _EXAMPLE)
    for name in FILES:
        if not (folder / name).is_file():
            raise ConfigError("workload", given, f"is no run: it has no {name}", _EXAMPLE)
    config = _read_config(folder / "config.yaml")
    ending = _read_ending(folder / "summary.json")
    records = [record for record in read_slices(folder / "slices.csv") if record.iterations > 0]
    if not records:
        rule = "no slice of this run has finished, so no speed is known"
        raise ConfigError("workload", given, rule, "let it run for longer")
    trials, seeds = _whole(config, "population", "size"), _seeds(config)
    stop = _whole(config, "population", "stop_iterations")
    seen = {record.worker for record in records}
    gone = seen - ending.present if ending else set()
    return PastRun(
        folder=folder,
        trials=trials,
        seeds=seeds,
        stop_iteration=stop,
        interval=_whole(config, "population", "interval_iterations"),
        scheduler=str(_value(config, "scheduler", "policy")),
        request=str(config["scheduler"].get("request", "auto")),
        max_staleness_iterations=_max_staleness(config),
        records=records,
        gone=frozenset(gone),
        notes=tuple(_notes(records, trials * len(seeds or (0,)) * stop, ending, gone)),
    )


def _notes(
    records: Sequence[SliceRecord], wanted: int, ending: _Ending | None, gone: set[str]
) -> list[str]:
    notes = []
    done = sum(iterations_reached(records).values())
    again = sum(record.iterations for record in records) - done
    if again:
        notes.append(
            f"Iterations that it did twice, since checkpoints could not be read: {again}. Those "
            "of the replays can be."
        )
    if done < wanted:
        notes.append(
            f"The run did {done} of {wanted} iterations. The replays do all of them, at the "
            "speeds measured until then."
        )
    if ending is None:
        notes.append("It has no summary.json. All workers are taken to have stayed to the end.")
        return notes
    if gone:
        notes.append(f"Had left: {_list(gone)}. In the replays they leave after their last slice.")
    idle = ending.workers - {record.worker for record in records}
    if idle:
        notes.append(f"Without a finished slice, so without a speed, and left out: {_list(idle)}.")
    if ending.failures:
        notes.append(f"Slices that failed: {ending.failures}. Those of the replays do not.")
    return notes


def _list(names: set[str]) -> str:
    return ", ".join(sorted(names))


def _read_config(path: Path) -> dict[str, Any]:
    try:
        config = yaml.safe_load(path.read_bytes())
    except (OSError, yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError("config.yaml", path, f"cannot be read ({_line(error)})") from None
    if not isinstance(config, dict):
        raise ConfigError("config.yaml", path, "is not that of a run", _EXAMPLE)
    return config


def _read_ending(path: Path) -> _Ending | None:
    """From ``summary.json``; None if the run is under way or was killed before it wrote one."""
    try:
        summary = json.loads(path.read_bytes())
        there = {worker["name"]: worker["present_at_end"] for worker in summary["workers"]}
        failures = int(summary["failures"]["count"])
    except FileNotFoundError:
        return None
    except OSError as error:
        raise ConfigError("summary.json", path, f"cannot be read ({_line(error)})") from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise ConfigError("summary.json", path, f"is not that of a run ({error!r})") from None
    return _Ending(set(there), {name for name, present in there.items() if present}, failures)


def _line(error: Exception) -> str:
    return " ".join(str(error).split())


def _value(config: Mapping[str, Any], *keys: str) -> Any:
    value: Any = config
    for key in keys:
        if not isinstance(value, Mapping) or key not in value:
            rule = "must be given in the run's config.yaml"
            raise ConfigError(".".join(keys), "???", rule, _EXAMPLE)
        value = value[key]
    return value


def _max_staleness(config: Mapping[str, Any]) -> int | None:
    if config["scheduler"].get("max_staleness") is None:
        return None
    return _whole(config, "scheduler", "max_staleness")


def _seeds(config: Mapping[str, Any]) -> tuple[int, ...] | None:
    """Those of several populations; runs of before there were any do not have the key."""
    seeds = config.get("seeds")
    if seeds is None:
        return None
    known = isinstance(seeds, list) and all(type(seed) is int and seed >= 0 for seed in seeds)
    if not known or not seeds or len(set(seeds)) < len(seeds):
        rule = "must be null or unlike whole numbers, at least 0, in the run's config.yaml"
        raise ConfigError("seeds", seeds, rule)
    return tuple(seeds)


def _whole(config: Mapping[str, Any], *keys: str) -> int:
    value = _value(config, *keys)
    if type(value) is not int or value < 1:
        rule = "must be a whole number, at least 1, in the run's config.yaml"
        raise ConfigError(".".join(keys), value, rule)
    return value
