"""From a resolved configuration to the types of the layers below; no DictConfig passes here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from hrfs.cli.domains import build_search_space
from hrfs.cli.schedule import schedule_of, timetable_of
from hrfs.cli.schema import NodeAllocationConfig
from hrfs.cli.validate import at_least
from hrfs.core.pbt import PbtSettings
from hrfs.experiment.cluster import (
    ClusterSettings,
    EmulatedWorker,
    NodeAllocation,
    workers_per_gpu,
)
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.launch import HRFS, REPLAY, RunnerSpec, SchedulerChoice
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import WorkerInfo
from hrfs.experiment.schedule import Schedule
from hrfs.training.dataset_settings import resolve_paths
from hrfs.training.device_check import check_compiler, check_workers
from hrfs.training.settings import RunnerSettings

RUNNER_FACTORY = "hrfs.training.runner:build"
FINAL_EVALUATION = "hrfs.training.final:evaluate_winner"
WORKER_CHECK = "hrfs.training.device_check:check_workers"
RUNNER_KEYS = ("model", "dataset", "trainer", "seed", "allowed_targets")
OTHER_NODES = "default"
"""Key of ``cluster.allocation`` for the nodes that it does not name."""


def to_plain(cfg: DictConfig) -> dict[str, Any]:
    """Resolve all interpolations and return nested dictionaries and lists.

    Raises:
        omegaconf.errors.OmegaConfBaseException: a value is missing or cannot be resolved.
    """
    plain = OmegaConf.to_container(cfg, resolve=True, throw_on_missing=True)
    if not isinstance(plain, dict):
        raise TypeError(f"the configuration must be a mapping, not {type(plain).__name__}")
    return {str(key): value for key, value in plain.items()}


def build_plan(config: Mapping[str, Any], choices: Mapping[str, Any]) -> Plan:
    """The experiment; ``choices`` maps group names to chosen options, for the labels."""
    population, schedule = config["population"], schedule_of(config)
    stop = _stop_iterations(config, schedule)
    return Plan(
        trials=_size(config) * len(_seeds(config)),
        stop_iterations=stop,
        interval_iterations=min(population["interval_iterations"], stop),
        search_space=build_search_space(population["search_space"], population["mutations"]),
        pbt=PbtSettings(
            quantile=population["quantile"],
            resample_probability=population["resample_probability"],
        ),
        metric=population["metric"],
        mode=population["mode"],
        target_score=population["target_score"],
        stop_on_target=population["stop_on_target"],
        seeds=_seeds(config),
        labels=_labels(config, choices),
        timetable=timetable_of(schedule) if schedule else None,
    )


def _stop_iterations(config: Mapping[str, Any], schedule: Schedule | None) -> int:
    """Iterations of each trial."""
    return schedule.iterations if schedule else int(config["population"]["stop_iterations"])


def _size(config: Mapping[str, Any]) -> int:
    """Trials of each population."""
    return 1 if config["schedule"] else int(config["population"]["size"])


def _seeds(config: Mapping[str, Any]) -> tuple[int, ...]:
    """The seed of each population."""
    return (config["seed"],) if config["seeds"] is None else tuple(config["seeds"])


def _labels(config: Mapping[str, Any], choices: Mapping[str, Any]) -> dict[str, Any]:
    labels = {group: choices.get(group) for group in ("model", "dataset", "experiment")}
    labels["scheduler"] = config["scheduler"]["policy"]
    labels["cluster"] = config["cluster"]["mode"]  # "emulated" must be told in every output
    labels["batch_size"] = config["dataset"].get("batch_size")
    return {name: value for name, value in labels.items() if value is not None}


def build_scheduler(config: Mapping[str, Any]) -> SchedulerChoice:
    """The rule that hands out slices."""
    scheduler = config["scheduler"]
    return SchedulerChoice(
        policy=HRFS if scheduler["policy"] == REPLAY else scheduler["policy"],
        request=scheduler["request"],
        max_staleness_iterations=scheduler["max_staleness"],
    )


def build_runner(config: Mapping[str, Any]) -> RunnerSpec:
    """Who trains, by name, and the plain settings that travel to the workers.

    Raises:
        ConfigError: a setting of the trainer or of the dataset cannot be.
    """
    settings = {key: config[key] for key in RUNNER_KEYS}
    settings["stop_iterations"] = _stop_iterations(config, schedule_of(config))
    if config["seeds"] is not None:
        del settings["seed"]
        settings |= {"seeds": config["seeds"], "population_size": _size(config)}
    settings["dataset"] = resolve_paths(config["dataset"])  # workers run in other folders
    _check_devices(settings, config["cluster"])
    return RunnerSpec(
        factory=RUNNER_FACTORY, settings=settings, final=FINAL_EVALUATION, check=WORKER_CHECK
    )


def _check_devices(settings: Mapping[str, Any], cluster: Mapping[str, Any]) -> None:
    """What this machine cannot do, if it is the one to do it; emulated workers are on its CPU."""
    trainer = RunnerSettings.from_plain(settings).trainer
    if cluster["mode"] != "address":
        check_compiler(trainer)
    if cluster["mode"] == "emulated":
        workers = (EmulatedWorker(**worker) for worker in cluster["emulated"])
        infos = [WorkerInfo(w.name, w.kind, "here", w.threads) for w in workers]
        check_workers(settings, infos)


def build_cluster(config: Mapping[str, Any]) -> ClusterSettings:
    """Where the run trains.

    Raises:
        ConfigError: the allocation names no worker at all, or is not an allocation.
    """
    cluster = config["cluster"]
    named, others = _allocations(cluster["allocation"])
    return ClusterSettings(
        mode=cluster["mode"],
        address=cluster["address"],
        allocation=named,
        default_allocation=others,
        emulated=tuple(EmulatedWorker(**worker) for worker in cluster["emulated"]),
        reserved_cpus=cluster["reserved_cpus"],
        answer_within_s=cluster["answer_within_s"],
        wait_s=cluster["wait_s"],
        hung_after=cluster["hung_after"],
        hung_least_s=cluster["hung_least_s"],
        hung_unknown_s=cluster["hung_unknown_s"],
        dashboard=cluster["dashboard"],
        pin_cores=cluster["pin_cores"],
    )


def _allocations(
    allocation: Any,
) -> tuple[dict[str, NodeAllocation], NodeAllocation | Literal["auto"] | None]:
    key = "cluster.allocation"
    if allocation == "auto":
        return {}, "auto"
    if not isinstance(allocation, Mapping) or not allocation:
        raise ConfigError(
            key,
            allocation,
            "must be auto or map host names or IP addresses to allocations",
            "e.g. {10.0.0.1: {gpus_per_worker: 1, cpus_per_worker: 12}}",
        )
    named = {str(host): value for host, value in allocation.items()}
    others = named.pop(OTHER_NODES, None)
    cuts = {host: _node_allocation(f"{key}[{host}]", value) for host, value in named.items()}
    if others is None or others == "auto":
        return cuts, others
    return cuts, _node_allocation(f"{key}[{OTHER_NODES}]", others)


def _node_allocation(key: str, value: Any) -> NodeAllocation:
    if not isinstance(value, Mapping):
        fields = ", ".join(NodeAllocationConfig.__dataclass_fields__)
        raise ConfigError(key, value, f"must be a mapping with {fields}")
    try:
        merged = OmegaConf.merge(OmegaConf.structured(NodeAllocationConfig), dict(value))
    except OmegaConfBaseException as error:
        rule = (error.msg or str(error)).splitlines()[0]
        raise ConfigError(f"{key}.{error.full_key}", value.get(error.key), rule) from error
    cut = NodeAllocation(
        cpus_per_worker=merged.cpus_per_worker,
        gpus_per_worker=merged.gpus_per_worker,
        cpus_per_gpu_worker=merged.cpus_per_gpu_worker,
    )
    at_least(f"{key}.cpus_per_worker", cut.cpus_per_worker, 0)
    at_least(f"{key}.gpus_per_worker", cut.gpus_per_worker, 0)
    if cut.gpus_per_worker:
        workers_per_gpu(f"{key}.gpus_per_worker", cut.gpus_per_worker)
    at_least(f"{key}.cpus_per_gpu_worker", cut.cpus_per_gpu_worker, 1)
    if cut.cpus_per_worker == 0 and cut.gpus_per_worker == 0:
        raise ConfigError(
            key, value, "makes no worker", "set cpus_per_worker or gpus_per_worker above 0"
        )
    return cut
