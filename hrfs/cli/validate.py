"""Rules of single values and of combinations, checked before any cluster starts.

Types have been checked by the schema; here are ranges, names and what must fit together.
Everything works on plain containers and raises :class:`ConfigError` at the first fault.
"""

from __future__ import annotations

import importlib.util
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any

from hrfs.cli.names import require_one_of, suggestion
from hrfs.cli.schedule import schedule_of
from hrfs.cli.schema import HrfsConfig
from hrfs.cli.targets import check_targets
from hrfs.core.policies import POLICIES
from hrfs.experiment.cluster import check_pin_cores
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.launch import RAY_PBT, REPLAY, check_max_staleness, check_seeds

SCHEDULERS = (*POLICIES, RAY_PBT, REPLAY)
REQUESTS = ("auto", "cpu", "gpu")
CONSOLE_MODES = ("auto", "live", "plain", "quiet")
CLUSTER_MODES = ("local", "emulated", "address")
LOGGER_LIBRARIES = {
    "csv": "pytorch_lightning",
    "tensorboard": "tensorboard",
    "wandb": "wandb",
    "mlflow": "mlflow",
}
"""Loggers (:data:`hrfs.training.loggers.LOGGERS`) and what each needs to be installed."""
LONGEST_ANSWER_S = 86_400.0
MOST = 2**63 - 1
"""The largest whole number that random generators and files take."""


def validate(config: Mapping[str, Any], overrides: Sequence[str] = ()) -> None:
    """Check a resolved configuration as a whole; ``overrides`` are what was typed of it.

    Raises:
        ConfigError: the first rule that does not hold, with key, value and remedy.
    """
    check_keys(config, HrfsConfig)
    check_whole_numbers(config)
    at_least("seed", config["seed"], 0)
    at_least("max_failures", config["max_failures"], 0)
    for group in ("model", "dataset"):
        check_targets(config[group], group, config["allowed_targets"])
    check_population(config["population"])
    check_scheduler(config["scheduler"], config["population"]["interval_iterations"])
    schedule_of(config)
    check_cluster(config["cluster"])
    check_seed_or_seeds(config, overrides)
    check_report(config["report"])
    check_loggers(config["logger"])


def check_seed_or_seeds(config: Mapping[str, Any], overrides: Sequence[str]) -> None:
    """Either one seed or a list of them, all unlike."""
    seeds = config.get("seeds")
    if seeds is None:
        return
    typed = any(override.partition("=")[0].lstrip("+~") == "seed" for override in overrides)
    if typed or config["seed"] != HrfsConfig.seed:
        rule = f"cannot be given beside seed={config['seed']}"
        raise ConfigError("seeds", seeds, rule, "leave out one of the two")
    check_seeds(config["scheduler"]["policy"], seeds)


def check_keys(config: Mapping[str, Any], schema: type[Any], prefix: str = "") -> None:
    """Refuse keys that the schema does not have; Hydra lets ``+key=value`` through."""
    known: dict[str, Any] = {field.name: field.default_factory for field in fields(schema)}
    for key, value in config.items():
        if key not in known:
            raise ConfigError(
                f"{prefix}{key}", value, "there is no such key", suggestion(str(key), known)
            )
        nested = known[key]
        if isinstance(nested, type) and is_dataclass(nested):
            check_keys(value, nested, f"{prefix}{key}.")


def check_whole_numbers(config: Mapping[str, Any]) -> None:
    """No whole number is of more than 64 bits, wherever it stands."""
    for key, value in _values(config):
        if isinstance(value, int) and abs(value) > MOST:
            shown = f"a whole number of {value.bit_length()} bits"
            raise ConfigError(key, shown, f"must lie between -{MOST} and {MOST}")


def _values(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(node, Mapping):
        for name, value in node.items():
            yield from _values(value, f"{key}.{name}" if key else str(name))
    elif isinstance(node, list | tuple):
        for index, value in enumerate(node):
            yield from _values(value, f"{key}[{index}]")
    else:
        yield key, node


def check_population(population: Mapping[str, Any]) -> None:
    """Size, length, interval and the fractions of PBT."""
    size, stop = population["size"], population["stop_iterations"]
    interval = population["interval_iterations"]
    at_least("population.size", size, 1)
    at_least("population.stop_iterations", stop, 1)
    at_least("population.interval_iterations", interval, 1)
    if interval > stop:
        raise ConfigError(
            "population.interval_iterations",
            interval,
            f"must be at most population.stop_iterations, which is {stop}",
        )
    within("population.quantile", population["quantile"], 0.0, 0.5)
    within("population.resample_probability", population["resample_probability"], 0.0, 1.0)
    require_one_of("population.mode", population["mode"], ("max", "min"))
    printable("population.metric", population["metric"])
    target = population["target_score"]
    if target is not None:
        finite("population.target_score", target)
    elif population["stop_on_target"]:
        raise ConfigError(
            "population.stop_on_target", True, "needs population.target_score, which is null"
        )


def check_scheduler(scheduler: Mapping[str, Any], interval_iterations: int) -> None:
    """Names of the policy and of what it asks for, and how far trials may drift apart."""
    require_one_of("scheduler.policy", scheduler["policy"], SCHEDULERS)
    require_one_of("scheduler.request", scheduler["request"], REQUESTS)
    if scheduler["request"] != "auto" and scheduler["policy"] != RAY_PBT:
        raise ConfigError(
            "scheduler.request",
            scheduler["request"],
            "is for scheduler=ray_pbt alone; the other rules use workers of every kind",
        )
    check_max_staleness(
        scheduler["policy"],
        scheduler["max_staleness"],
        interval_iterations,
        "population.interval_iterations",
        if_too_few="null sets no limit",
    )


def check_cluster(cluster: Mapping[str, Any]) -> None:
    """What can be known of the cluster before it is there."""
    mode = cluster["mode"]
    require_one_of("cluster.mode", mode, CLUSTER_MODES)
    at_least("cluster.reserved_cpus", cluster["reserved_cpus"], 0)
    above_zero("cluster.answer_within_s", cluster["answer_within_s"])
    within("cluster.answer_within_s", cluster["answer_within_s"], 0.0, LONGEST_ANSWER_S)
    above_zero("cluster.wait_s", cluster["wait_s"])
    _check_hung(cluster)
    _refuse_placeholders(cluster["allocation"])
    if (mode == "address") != bool(cluster["address"]):
        rule = "must be given" if mode == "address" else "is for cluster=address alone"
        shown = cluster["address"] or "null"
        raise ConfigError("cluster.address", shown, rule, "e.g. cluster.address=10.0.0.1:6379")
    if mode == "emulated":
        _check_emulated(cluster["emulated"])
    elif cluster["emulated"]:
        raise ConfigError(
            "cluster.emulated", f"{len(cluster['emulated'])} workers", f"not used by mode {mode}"
        )
    threads = sum(worker["threads"] for worker in cluster["emulated"])
    check_pin_cores(cluster["pin_cores"], mode, threads)


def _check_hung(cluster: Mapping[str, Any]) -> None:
    """When a slice is abandoned: later than it should end, whatever is known of it."""
    after, least_s = cluster["hung_after"], cluster["hung_least_s"]
    if after is not None and not after > 1.0:
        rule = "must be above 1, a multiple of the time predicted for a slice"
        raise ConfigError("cluster.hung_after", after, rule, "null abandons no slice")
    above_zero("cluster.hung_least_s", least_s)
    if not cluster["hung_unknown_s"] >= least_s:
        rule = f"must be at least cluster.hung_least_s, which is {least_s:g}"
        raise ConfigError("cluster.hung_unknown_s", cluster["hung_unknown_s"], rule)


def _refuse_placeholders(allocation: Any) -> None:
    """``cluster=paper`` names hosts as ``<first GPU node>``, for the user to fill in."""
    names = list(map(str, allocation)) if isinstance(allocation, Mapping) else []
    left = [name for name in names if name.startswith("<") and name.endswith(">")]
    if left:
        raise ConfigError(
            "cluster.allocation",
            ", ".join(left),
            "stands for hosts of your own",
            "write their names in a copy of conf/cluster/paper.yaml, or use cluster=local",
        )


def _check_emulated(workers: list[Mapping[str, Any]]) -> None:
    if not workers:
        raise ConfigError("cluster.emulated", "[]", "must list at least one worker")
    for index, worker in enumerate(workers):
        key = f"cluster.emulated[{index}]"
        printable(f"{key}.name", worker["name"])
        printable(f"{key}.kind", worker["kind"])
        if worker["kind"].partition(":")[0] not in ("cpu", "gpu"):
            raise ConfigError(f"{key}.kind", worker["kind"], "must be cpu, gpu or gpu:<model>")
        at_least(f"{key}.slowdown", worker["slowdown"], 1.0)
        finite(f"{key}.slowdown", worker["slowdown"])
        at_least(f"{key}.threads", worker["threads"], 1)
    name, times = Counter(worker["name"] for worker in workers).most_common(1)[0]
    if times > 1:
        raise ConfigError("cluster.emulated", name, f"{times} workers have this name")


def check_report(report: Mapping[str, Any]) -> None:
    """Period and form of the table."""
    above_zero("report.every_s", report["every_s"])
    require_one_of("report.console", report["console"], CONSOLE_MODES)


def check_loggers(names: Sequence[str]) -> None:
    """Loggers that there are, each once, whose libraries are installed; nothing is imported."""
    for name in names:
        require_one_of("logger", name, LOGGER_LIBRARIES)
        if list(names).count(name) > 1:
            raise ConfigError("logger", name, "is listed more than once")
        library = LOGGER_LIBRARIES[name]
        spec = importlib.util.find_spec(library)
        if spec is None or spec.origin is None:  # or only a folder of that name, as wandb makes one
            rule = f"needs the library {library}, which is not installed"
            raise ConfigError("logger", name, rule, f"pip install {library}, or leave it out")


def at_least(key: str, value: float, low: float) -> None:
    """Refuse a ``value`` below ``low``, and NaN."""
    if not value >= low:
        raise ConfigError(key, value, f"must be at least {low:g}")


def above_zero(key: str, value: float) -> None:
    """Refuse a ``value`` that is not above 0."""
    if not value > 0:
        raise ConfigError(key, value, "must be above 0")


def within(key: str, value: float, low: float, high: float) -> None:
    """Refuse a ``value`` outside [low, high], and NaN."""
    if not low <= value <= high:
        raise ConfigError(key, value, f"must be between {low:g} and {high:g}")


def finite(key: str, value: float) -> None:
    """Refuse a ``value`` that is infinite, or NaN."""
    if not math.isfinite(value):
        raise ConfigError(key, value, "must be a finite number")


def printable(key: str, text: str) -> None:
    """Refuse a name that is empty or would not show, or break a line of a table."""
    if not text.strip() or not text.isprintable():
        raise ConfigError(key, ascii(text), "must be a name of printable characters")
