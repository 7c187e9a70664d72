"""Which jobs of a sweep are run, and which are taken as they ended before.

A job is skipped if its folder has the record of a job of the same program that completed with the
same overrides and the same configuration. A job that completed with another configuration is
neither skipped (its results are not what was asked for) nor run (it would write over them): the
sweep is refused with the keys that changed.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hydra.core.utils import JobReturn, JobStatus
from omegaconf import DictConfig, OmegaConf, open_dict, read_write

from hydra_plugins.hrfs_ray_tune_launcher._changes import changes, told
from hydra_plugins.hrfs_ray_tune_launcher._errors import LauncherError
from hydra_plugins.hrfs_ray_tune_launcher._records import (
    Damaged,
    JobRecord,
    read_file,
    record_path,
    record_pattern,
)
from hydra_plugins.hrfs_ray_tune_launcher._sweep_job import SweepJob

__all__ = [
    "ResumePlan",
    "SweepJob",
    "check_before_sweep",
    "check_resumable",
    "numbers",
    "plan_resume",
]

KEY = "hydra.launcher.resume"
_OTHER_FOLDER = "give hydra.sweep.dir=FOLDER of the sweep to resume, or leave out resume"
_DEEPEST = 4
"""How many levels below the sweep's folder its jobs' folders are looked for."""


@dataclass(frozen=True)
class ResumePlan:
    """The jobs to run, the results of those that are not, and what to tell the user."""

    to_run: list[SweepJob]
    kept: dict[int, JobReturn] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Candidate:
    """A job and the record that its folder has of it."""

    job: SweepJob
    found: JobRecord | Damaged | None

    @property
    def completed(self) -> JobRecord | None:
        """The record of its completion, if it has completed."""
        record = self.found
        return record if isinstance(record, JobRecord) and record.status == "COMPLETED" else None


def check_before_sweep(config: DictConfig) -> None:
    """:func:`check_resumable` of a sweep's own configuration.

    For the time before the sweeper makes the folder and writes its ``multirun.yaml`` there.
    """
    hydra = config.hydra
    check_resumable(Path(str(hydra.sweep.dir)).absolute(), hydra.output_subdir, str(hydra.job.name))


def check_resumable(sweep_dir: Path, output_subdir: str | None, program: str) -> None:
    """Refuse to resume where there is nothing to resume; ``program`` is ``hydra.job.name``.

    Raises:
        LauncherError: the folder does not exist, holds no record, or those of another program.
    """
    if not sweep_dir.is_dir():
        rule = f"there is no sweep directory {sweep_dir} to resume"
        raise LauncherError(KEY, "true", rule, _OTHER_FOLDER)
    for depth in range(_DEEPEST + 1):
        pattern = "/".join([*["*"] * depth, record_pattern(output_subdir)])
        for path in sorted(sweep_dir.glob(pattern)):
            record = read_file(path)
            if isinstance(record, JobRecord):
                _same_program(record, program, sweep_dir)
            return  # a damaged record is told with the job that it belongs to
    rule = f"the sweep directory {sweep_dir} has no record of a job started by this launcher"
    raise LauncherError(KEY, "true", rule, _OTHER_FOLDER)


def plan_resume(sweep_dir: Path, jobs: Sequence[SweepJob], resume: bool) -> ResumePlan:
    """Sort out ``jobs``; without ``resume`` all are run, over what finished before, as Hydra does.

    Raises:
        LauncherError: there is nothing to resume, or a finished job is now another one.
    """
    candidates = [_Candidate(job, _find(job)) for job in jobs]
    if not resume:
        return ResumePlan(list(jobs), messages=_overwritten(sweep_dir, candidates))
    for job in jobs[:1]:
        check_resumable(sweep_dir, job.output_subdir, job.program)
    conflicts = [_conflict(candidate, record, sweep_dir)
                 for candidate in candidates if (record := candidate.completed)]  # fmt: skip
    if any(conflicts):
        raise _refusal([conflict for conflict in conflicts if conflict])
    return ResumePlan(
        to_run=[c.job for c in candidates if not c.completed],
        kept={c.job.num: _job_return(c.job, record)
              for c in candidates if (record := c.completed)},
        messages=_messages(candidates),
    )  # fmt: skip


def _find(job: SweepJob) -> JobRecord | Damaged | None:
    """The job's record; in a folder named by its overrides it may stand under another number."""
    own = read_file(record_path(job.folder, job.output_subdir, job.num))
    if own is not None:
        return own
    for path in sorted(job.folder.glob(record_pattern(job.output_subdir))):
        record = read_file(path)
        if isinstance(record, JobRecord) and _same_overrides(record, job.wanted):
            return record
    return None


def _same_overrides(one: JobRecord, other: JobRecord) -> bool:
    return sorted(one.overrides) == sorted(other.overrides)


def _same_program(record: JobRecord, program: str, sweep_dir: Path) -> None:
    if record.program != program:
        rule = f"the sweep directory {sweep_dir} is of the program {record.program}, not {program}"
        raise LauncherError(KEY, "true", rule, _OTHER_FOLDER)


def _conflict(candidate: _Candidate, record: JobRecord, sweep_dir: Path) -> str:
    """Why a finished job's results are not those that are asked for now; empty if they are."""
    job, wanted = candidate.job, candidate.job.wanted
    _same_program(record, wanted.program, sweep_dir)
    finished = f"job {job.num} finished in {job.folder} with"
    if not _same_overrides(record, wanted):
        before, now = (" ".join(side.overrides) or "no override" for side in (record, wanted))
        return f"{finished} {before}, and is now asked for with {now}"
    if record.config_hash == wanted.config_hash:
        return ""
    return f"{finished} another configuration: {told(changes(record.config, wanted.config))}"


def _refusal(conflicts: list[str]) -> LauncherError:
    others = len(conflicts) - 1
    more = f" (and {others} other job{'s' if others > 1 else ''} likewise)" if others else ""
    remedy = (
        "run the same sweep (a sweeper that draws at random needs its seed), delete the folders "
        "of jobs to run again, or choose another hydra.sweep.dir"
    )
    return LauncherError(KEY, "true", conflicts[0] + more, remedy)


def _job_return(job: SweepJob, record: JobRecord) -> JobReturn:
    """What the launcher gives back for a job that is not run again, as Hydra's run_job would."""
    config = copy.deepcopy(job.config)
    with read_write(config.hydra.runtime), open_dict(config.hydra.runtime):
        config.hydra.runtime.output_dir = str(job.folder)
    kept = JobReturn(
        overrides=list(job.overrides),
        cfg=job.task_config(),
        hydra_cfg=OmegaConf.masked_copy(config, "hydra"),
        working_dir=str(job.folder) if config.hydra.job.chdir else str(Path.cwd()),
        task_name=job.program,
        status=JobStatus.COMPLETED,
    )
    kept.return_value = record.value()
    return kept


def _messages(candidates: Sequence[_Candidate]) -> list[str]:
    """One line for the jobs that are skipped, and one for each reason to run jobs."""
    lines = []
    skipped = [c.job.num for c in candidates if c.completed]
    if skipped:
        lines.append(f"skipped {numbers(skipped)}: completed before, configuration unchanged")
    for candidate in candidates:
        record = candidate.completed
        if record and not record.value_kept:
            why = f"its value could not be kept as JSON ({record.reason})"
            lines.append(f"job {candidate.job.num} returns None: {why}")
    again: dict[str, list[int]] = {}
    for candidate in candidates:
        if not candidate.completed:
            again.setdefault(_why_run(candidate.found), []).append(candidate.job.num)
    return lines + [f"runs {numbers(nums)}: {why}" for why, nums in again.items()]


def _why_run(record: JobRecord | Damaged | None) -> str:
    if record is None:
        return "not started before"
    if isinstance(record, Damaged):
        return f"the record {record.path} is damaged ({record.reason})"
    return f"failed before ({record.reason})" if record.status == "FAILED" else "did not end before"


def _overwritten(sweep_dir: Path, candidates: Sequence[_Candidate]) -> list[str]:
    done = [candidate.job.num for candidate in candidates if candidate.completed]
    if not done:
        return []
    return [
        f"{numbers(done)} completed before in {sweep_dir} and will be run again, over what is "
        f"there; {KEY}=true would skip what has completed"
    ]


def numbers(nums: Collection[int]) -> str:
    """``job 3`` or ``jobs 0-2, 5``: the numbers of some jobs, in short."""
    spans: list[list[int]] = []
    for num in sorted(nums):
        if spans and num == spans[-1][1] + 1:
            spans[-1][1] = num
        else:
            spans.append([num, num])
    parts = [str(first) if first == last else f"{first}-{last}" for first, last in spans]
    return ("job " if len(nums) == 1 else "jobs ") + ", ".join(parts)
