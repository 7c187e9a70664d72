"""A launch from its overrides to its results. Hydra imports this when the first job starts."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import cloudpickle
import ray
from hydra.core.singleton import Singleton
from hydra.core.utils import (
    JobReturn,
    JobStatus,
    configure_log,
    filter_overrides,
    setup_globals,
)

from hydra_plugins.hrfs_ray_tune_launcher._checks import check_limits, check_requests
from hydra_plugins.hrfs_ray_tune_launcher._cluster import ray_for_jobs
from hydra_plugins.hrfs_ray_tune_launcher._deaths import cause_of_death
from hydra_plugins.hrfs_ray_tune_launcher._errors import LauncherError
from hydra_plugins.hrfs_ray_tune_launcher._experiment import Collector, run_trials
from hydra_plugins.hrfs_ray_tune_launcher._jobs import compose_jobs
from hydra_plugins.hrfs_ray_tune_launcher._options import init_arguments, job_resources
from hydra_plugins.hrfs_ray_tune_launcher._outcome import JobFailed, describe, failed, unpack
from hydra_plugins.hrfs_ray_tune_launcher._records import write_record
from hydra_plugins.hrfs_ray_tune_launcher._resume import SweepJob, numbers, plan_resume
from hydra_plugins.hrfs_ray_tune_launcher._worker import Parcel, Shared

if TYPE_CHECKING:
    from hydra_plugins.hrfs_ray_tune_launcher.launcher import RayTuneLauncher

log = logging.getLogger(__name__)


def launch(
    launcher: RayTuneLauncher, job_overrides: Sequence[Sequence[str]], initial_job_idx: int
) -> list[JobReturn]:
    """Run the jobs and return their results in order; see :meth:`RayTuneLauncher.launch`.

    Raises:
        LauncherError: something the user can mend, before any job starts.
        KeyboardInterrupt: as pressed; what had ended by then is kept on disk.
    """
    assert launcher.config is not None
    assert launcher.hydra_context is not None
    setup_globals()
    hydra = launcher.config.hydra
    configure_log(hydra.hydra_logging, hydra.verbose)
    params = launcher.params
    check_limits(params["max_concurrent"], params["max_failures"])
    sweep_dir = Path(str(hydra.sweep.dir)).absolute()
    jobs = compose_jobs(launcher.hydra_context, launcher.config, job_overrides, initial_job_idx)
    plan = plan_resume(sweep_dir, jobs, params["resume"])
    sweep_dir.mkdir(parents=True, exist_ok=True)
    for message in plan.messages:
        log.warning(message)
    results = Results(plan.to_run, plan.kept)
    if plan.to_run:
        _run(launcher, plan.to_run, results)
    configure_log(hydra.hydra_logging, hydra.verbose)
    results.tell()
    return [results.of(job) for job in jobs]


def _run(launcher: RayTuneLauncher, jobs: Sequence[SweepJob], results: Results) -> None:
    requests = {job.num: job_resources(job) for job in jobs}
    init = init_arguments(jobs)
    shared, parcels = _shared(launcher), [_parcel(job) for job in jobs]
    params = launcher.params
    with ray_for_jobs(init):
        nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
        check_requests(requests, nodes)
        log.info("Launching %d jobs on Ray", len(jobs))
        for job in jobs:
            log.info("\t#%d : %s", job.num, " ".join(filter_overrides(job.overrides)))
        try:
            run_trials(
                shared,
                parcels,
                [requests[job.num].bundle() for job in jobs],
                Collector(results.ended, results.died),
                max_concurrent=params["max_concurrent"],
                max_failures=params["max_failures"],
                retry_exceptions=params["retry_exceptions"],
                reuse_processes=params["reuse_processes"],
            )
        except KeyboardInterrupt:
            results.tell("interrupted; ")
            raise


def _shared(launcher: RayTuneLauncher) -> bytes:
    assert launcher.hydra_context is not None
    assert launcher.task_function is not None
    shared = Shared(
        launcher.hydra_context, launcher.task_function, Singleton.get_state(), str(Path.cwd())
    )
    try:
        return cloudpickle.dumps(shared)
    except Exception as error:
        name = getattr(launcher.task_function, "__qualname__", repr(launcher.task_function))
        rule = f"the task can't be sent to other processes ({error})"
        remedy = "let it reach nothing that can't be pickled: no open file, lock or connection"
        raise LauncherError("task function", name, rule, remedy) from error


def _parcel(job: SweepJob) -> bytes:
    parcel = Parcel(job.config, str(job.folder), job.output_subdir, job.record())
    return cloudpickle.dumps(parcel)


class Results:
    """What has come of the jobs of a launch, in whatever order it comes."""

    def __init__(self, jobs: Sequence[SweepJob], kept: dict[int, JobReturn]) -> None:
        self._jobs = jobs
        self._by_number = dict(kept)

    def ended(self, position: int, outcome: bytes) -> None:
        """A job's process has sent its outcome; its record is written by now."""
        job = self._jobs[position]
        self._take(job, unpack(job, outcome))

    def died(self, position: int, error: str) -> None:
        """A job's process has died, with what Ray says about it."""
        job = self._jobs[position]
        reason = f"job {job.num}: {cause_of_death(error)}"
        log.debug("job %d: %s", job.num, error)
        self._take(job, failed(job, JobFailed(reason)))
        write_record(job.folder, job.record().ended("FAILED", reason=reason), job.output_subdir)

    def _take(self, job: SweepJob, result: JobReturn) -> None:
        self._by_number[job.num] = result
        if result.status == JobStatus.COMPLETED:
            log.info("\t#%d completed", job.num)
        else:
            log.error("\t#%d failed: %s", job.num, describe(result._return_value))

    def of(self, job: SweepJob) -> JobReturn:
        """The job's result; a job that never came to an end is FAILED."""
        if job.num not in self._by_number:
            return failed(job, JobFailed(f"job {job.num}: Ray gave no result for it"))
        return self._by_number[job.num]

    def tell(self, prefix: str = "") -> None:
        """Say how many completed and which did not."""
        lost = [num for num, result in self._by_number.items() if not _completed(result)]
        open_ = [job.num for job in self._jobs if job.num not in self._by_number]
        if not (lost or open_):
            return
        parts = [f"{len(self._by_number) - len(lost)} completed"]
        parts += [f"{numbers(lost)} failed"] if lost else []
        parts += [f"{numbers(open_)} did not end"] if open_ else []
        log.error("%s%s; hydra.launcher.resume=true runs the rest", prefix, ", ".join(parts))


def _completed(result: JobReturn) -> bool:
    return result.status == JobStatus.COMPLETED
