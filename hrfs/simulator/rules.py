"""Rules of a spec that concern more than one of its fields."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hrfs.experiment.errors import ConfigError
from hrfs.simulator.spec import Workload


def check(workload: Workload) -> None:
    """Hold a workload of sound fields against the rules.

    Raises:
        ConfigError: the first rule that is broken.
    """
    if workload.interval > workload.stop_iteration:
        rule = f"must be at most stop_iteration={workload.stop_iteration}"
        raise ConfigError("interval", workload.interval, rule)
    _check_seeds(workload)
    _check_names(workload)
    _check_times(workload)
    _check_factors(workload)
    _check_moves(workload)
    _check_learning(workload)


def _check_seeds(workload: Workload) -> None:
    seeds = list(workload.seeds or ())
    for seed, times in Counter(seeds).items():
        if times > 1:
            rule = f"names seed {seed} {times} times"
            raise ConfigError("seeds", seeds, rule, "its populations would be alike, leave it once")


def _check_names(workload: Workload) -> None:
    times = Counter(worker.name for worker in workload.workers)
    for index, worker in enumerate(workload.workers):
        key = f"workers[{index}]"
        if times[worker.name] > 1:
            rule = f"{times[worker.name]} workers have this name"
            raise ConfigError(f"{key}.name", worker.name, rule, "give each its own")
        for field, text in (("name", worker.name), ("kind", worker.kind)):
            if not text.isprintable():
                raise ConfigError(f"{key}.{field}", ascii(text), "must be printable, on one line")


def _check_times(workload: Workload) -> None:
    for index, worker in enumerate(workload.workers):
        key = f"workers[{index}]"
        if worker.leaves_at_s is not None and worker.leaves_at_s <= worker.joins_at_s:
            rule = f"must be later than joins_at_s={worker.joins_at_s:g}"
            raise ConfigError(f"{key}.leaves_at_s", f"{worker.leaves_at_s:g}", rule)
        for place, (before, after) in enumerate(pairwise(worker.speed_changes), start=1):
            if after[0] <= before[0]:
                rule = f"must be later than the change before it, {before[0]:g}"
                raise ConfigError(f"{key}.speed_changes[{place}][0]", f"{after[0]:g}", rule)


def _check_factors(workload: Workload) -> None:
    if workload.noise_sigma and set(workload.duration_factors) != {1.0}:
        rule = "must be absent where noise_sigma is given"
        many = f"{len(workload.duration_factors)} numbers"
        raise ConfigError("duration_factors", many, rule, "leave out one of the two")
    if workload.work_factor is not None:
        _check_one_per_trial("work_factor", len(workload.work_factor), workload)
    kinds = sorted({worker.kind for worker in workload.workers if worker.kind})
    for kind, of_kind in workload.kind_factors.items():
        if kind not in kinds:
            rule = f"no worker is of this kind; there are: {', '.join(kinds) or 'none'}"
            raise ConfigError("kind_factors", kind, rule)
        _check_one_per_trial(f"kind_factors.{kind}", len(of_kind), workload)


def _check_one_per_trial(key: str, length: int, workload: Workload) -> None:
    if length in (workload.trials, workload.all_trials):
        return
    rule = f"must be one for each of the {workload.trials} trials"
    if workload.all_trials > workload.trials:
        rule += f" of a population, or of the {workload.all_trials} trials of all"
    raise ConfigError(key, f"{length} numbers", rule)


def _check_moves(workload: Workload) -> None:
    if workload.checkpoint_bytes is None:
        _refuse_bandwidth(workload)
        return
    if workload.migration_s:
        rule = "must be absent where checkpoint_bytes is given"
        raise ConfigError("migration_s", f"{workload.migration_s:g}", rule, "leave out one")
    for index, worker in enumerate(workload.workers):
        if workload.link_bytes_per_s is None and worker.link_bytes_per_s is None:
            key = f"workers[{index}].link_bytes_per_s"
            rule = "must be given where checkpoint_bytes is"
            raise ConfigError(key, "???", rule, "or give link_bytes_per_s for all workers")
    names = {worker.name for worker in workload.workers}
    seen = set()
    for index, link in enumerate(workload.links):
        key, between = f"links[{index}].between", " and ".join(link.between)
        for name in link.between:
            if name not in names:
                raise ConfigError(key, name, "there is no worker of this name")
        if len(set(link.between)) == 1:
            raise ConfigError(key, between, "must be two workers")
        if frozenset(link.between) in seen:
            raise ConfigError(key, between, "is given twice")
        seen.add(frozenset(link.between))


def _refuse_bandwidth(workload: Workload) -> None:
    given = {"link_bytes_per_s": workload.link_bytes_per_s} | {
        f"workers[{index}].link_bytes_per_s": worker.link_bytes_per_s
        for index, worker in enumerate(workload.workers)
    }
    for key, value in given.items():
        if value is not None:
            raise ConfigError(key, f"{value:g}", "needs checkpoint_bytes", "add it")
    if workload.links:
        raise ConfigError("links", len(workload.links), "needs checkpoint_bytes", "add it")


def _check_learning(workload: Workload) -> None:
    if workload.target_score is not None and workload.curve is None:
        raise ConfigError("target_score", f"{workload.target_score:g}", "needs a curve", "add it")
    if workload.stop_on_target and workload.target_score is None:
        raise ConfigError("stop_on_target", "true", "needs a target_score", "add it")
    rate = workload.curve.learning_rate if workload.curve else None
    if rate is not None and rate.low > rate.high:
        rule = f"must be at most high={rate.high:g}"
        raise ConfigError("curve.learning_rate.low", f"{rate.low:g}", rule)
