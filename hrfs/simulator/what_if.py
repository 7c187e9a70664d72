"""Changes of a cluster or a population, as they are typed: ``-cpu-0,+2:gpu,population=40``."""

from __future__ import annotations

import dataclasses
import difflib
import re
from collections.abc import Collection
from dataclasses import dataclass
from itertools import count

from hrfs.experiment.cluster import base_kind
from hrfs.experiment.errors import ConfigError
from hrfs.simulator.spec import SimulatedWorker, Workload

KEY = "what_if"
MOST = 10**6
"""Workers and trials that a change may ask for."""
FORMS = "-NAME, -N:KIND, +N:KIND, population=N or scheduler=NAME"
_OF_KIND = re.compile(r"([+-])(\d{1,7}):(.+)")


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is simulated, by whose rule."""

    title: str
    workload: Workload
    scheduler: str


def changed(base: Scenario, changes: str, schedulers: Collection[str]) -> Scenario:
    """``base`` after all ``changes``, which are separated by commas and done from left to right.

    ``-NAME`` takes a worker away, ``-N:KIND`` the N slowest of a kind. ``+N:KIND`` adds N that
    are like the middle one of their kind, and stay to the end. ``gpu`` stands for all kinds
    ``gpu:MODEL`` and ``gpu/2`` if no worker is just that. ``population=N`` is the size of each
    population, and repeats its trials' factors on work, if there are any. ``scheduler=NAME``
    changes the policy.

    Raises:
        ConfigError: a change that cannot be made, or is none.
    """
    scenario = dataclasses.replace(base, title=changes)
    for change in changes.split(","):
        scenario = _changed(scenario, change.strip(), schedulers)
    if not scenario.workload.workers:
        raise ConfigError(KEY, changes, "no worker is left", "leave one")
    return scenario


def _changed(base: Scenario, change: str, schedulers: Collection[str]) -> Scenario:
    workload = base.workload
    names = [worker.name for worker in workload.workers]
    if change.startswith("-") and change[1:] in names:
        return _with_workers(base, [w for w in workload.workers if w.name != change[1:]])
    of_kind = _OF_KIND.fullmatch(change)
    if of_kind:
        return _change_kind(base, change, of_kind[1], int(of_kind[2]), of_kind[3])
    key, equals, value = change.partition("=")
    if equals and key == "population":
        return dataclasses.replace(base, workload=_with_trials(workload, change, value))
    if equals and key == "scheduler":
        if value not in schedulers:
            raise _unknown(change, f"must be one of {', '.join(schedulers)}", value, schedulers)
        return dataclasses.replace(base, scheduler=value)
    if change.startswith("-") and len(change) > 1:
        rule = f"there is no worker of this name; there are: {', '.join(names)}"
        raise _unknown(change, rule, change[1:], names)
    raise ConfigError(KEY, change, f"is no change; there are {FORMS}", "separate them by commas")


def _change_kind(base: Scenario, change: str, sign: str, many: int, kind: str) -> Scenario:
    workers = base.workload.workers
    exactly = [worker for worker in workers if worker.kind == kind]
    family = [worker for worker in workers if base_kind(worker.kind) == kind]
    mine = sorted(exactly or family, key=_pace)
    if not mine:
        kinds = sorted({worker.kind for worker in workers if worker.kind})
        rule = f"no worker is of this kind; there are: {', '.join(kinds) or 'none'}"
        raise _unknown(change, rule, kind, kinds)
    if not 1 <= many <= MOST:
        raise ConfigError(KEY, change, f"must be a number of workers from 1 to {MOST}")
    if sign == "-":
        if many > len(mine):
            raise ConfigError(KEY, change, f"there are only {len(mine)} workers of this kind")
        taken = {worker.name for worker in mine[-many:]}
        return _with_workers(base, [w for w in workers if w.name not in taken])
    middle = mine[(len(mine) - 1) // 2]
    names = {worker.name for worker in workers}
    fresh = (name for n in count(1) if (name := f"{middle.kind}+{n}") not in names)
    more = [dataclasses.replace(middle, name=next(fresh), leaves_at_s=None) for _ in range(many)]
    return _with_workers(base, [*workers, *more])


def _pace(worker: SimulatedWorker) -> tuple[float, str]:
    return worker.seconds_per_iteration, worker.name


def _with_workers(base: Scenario, workers: list[SimulatedWorker]) -> Scenario:
    workload = dataclasses.replace(base.workload, workers=tuple(workers))
    return dataclasses.replace(base, workload=workload)


def _with_trials(workload: Workload, change: str, value: str) -> Workload:
    if not _is_number(value) or not 1 <= int(value) <= MOST:
        raise ConfigError(KEY, change, f"must be a whole number from 1 to {MOST}")
    trials, factors = int(value), workload.work_factor
    if factors is not None:
        of_all, populations = workload.by_trial(factors), workload.populations
        members = map(populations.members, range(len(populations)))
        factors = tuple(of_all[own[t % len(own)]] for own in members for t in range(trials))
    return dataclasses.replace(workload, trials=trials, work_factor=factors)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= len(str(MOST))


def _unknown(change: str, rule: str, name: str, known: Collection[str]) -> ConfigError:
    near = difflib.get_close_matches(name, sorted(known), n=1, cutoff=0.5)
    return ConfigError(KEY, change, rule, f"did you mean {near[0]}?" if near else "")
