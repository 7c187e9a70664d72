"""What the Ray Tune launcher costs per job, beside Hydra's own that runs jobs one by one.

    python -m benchmarks.launcher
    python -m benchmarks.launcher --jobs 32

Ray is up before the clock starts. The jobs do nothing and run one at a time, so the time between
the starts of two jobs is all overhead: the configuration is composed, a process gets the job,
Hydra makes its folder and its log, the result comes back. ``first`` is the time from the start of
the sweep to the first job, in which Hydra composes all jobs and the first process starts.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from unittest.mock import patch

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Table

from benchmarks.conditions import conditions
from hydra_plugins.hrfs_ray_tune_launcher._cluster import ray_for_jobs

BEGAN = "began"
LAUNCHERS = {
    "basic": ["hydra/launcher=basic"],
    "ray_tune": ["hydra/launcher=ray_tune", "hydra.launcher.max_concurrent=1"],
    "ray_tune, new processes": [
        "hydra/launcher=ray_tune",
        "hydra.launcher.max_concurrent=1",
        "hydra.launcher.reuse_processes=false",
    ],
}
QUIET = ["hydra/hydra_logging=disabled", "hydra/job_logging=disabled"]
COLUMNS = ("launcher", "jobs", "first", "median", "p90", "all jobs", "per job")


def note_the_time(_: DictConfig) -> float:
    """A job that only notes when it began."""
    began_s = time.time()
    (Path(HydraConfig.get().runtime.output_dir) / BEGAN).write_text(repr(began_s))
    return began_s


def sweep(launcher: Sequence[str], jobs: int) -> tuple[list[float], float]:
    """Seconds from the start of a sweep to the start of each job, and to the end of all."""
    with tempfile.TemporaryDirectory() as folder:
        numbers = ",".join(str(number) for number in range(jobs))
        words = ["-m", f"+job={numbers}", f"hydra.sweep.dir={folder}", *QUIET, *launcher]
        entry = hydra.main(version_base="1.3", config_path=None)(note_the_time)
        with patch.object(sys, "argv", ["launcher", *words]):
            start_s = time.time()
            entry()
            whole_s = time.time() - start_s
        began = [float((Path(folder) / str(n) / BEGAN).read_text()) for n in range(jobs)]
    return [began_s - start_s for began_s in sorted(began)], whole_s


def row(name: str, jobs: int) -> list[str]:
    """One sweep's figures in seconds, as the table shows them."""
    began_s, whole_s = sweep(LAUNCHERS[name], jobs)
    between_s = [after - before for before, after in itertools.pairwise(began_s)]
    p90_s = statistics.quantiles(between_s, n=10, method="inclusive")[-1]
    figures = [began_s[0], statistics.median(between_s), p90_s, whole_s, whole_s / jobs]
    return [name, str(jobs), *(f"{figure:.2f}" for figure in figures)]


def main() -> None:
    """Print one row per launcher."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=16, help="jobs of each sweep, at least 3")
    parser.add_argument("--launchers", nargs="+", choices=list(LAUNCHERS), default=list(LAUNCHERS))
    options = parser.parse_args()
    if options.jobs < 3:
        parser.error("--jobs must be at least 3")
    table = Table(title="sweep of jobs that do nothing, one at a time: seconds")
    for index, column in enumerate(COLUMNS):
        table.add_column(column, justify="right" if index else "left")
    told = conditions("ray", "hydra-core")
    with ray_for_jobs({"num_cpus": 2}):
        for name in options.launchers:
            table.add_row(*row(name, options.jobs))
    Console().print(table, told)


if __name__ == "__main__":
    main()
