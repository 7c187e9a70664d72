"""A driver that a test kills, and its second life: ``restore_driver.py FOLDER [restore]``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import ray
from harness import Watch, make_plan
from ray import tune
from toys import Counter

from hrfs.core.invariants import check
from hrfs.experiment.cluster import ClusterSettings, NodeAllocation
from hrfs.tuning.population import fit_population, make_run_config
from hrfs.tuning.resume import StateCallback
from hrfs.tuning.scheduler import HRFSScheduler
from hrfs.tuning.session import cluster


def main(folder: Path, restore: bool) -> None:
    """Run, or restore and report what came of it."""
    settings = ClusterSettings(
        default_allocation=NodeAllocation(cpus_per_worker=1), reserved_cpus=0
    )
    plan = make_plan(trials=4, seeds=(0, 1), stop_iterations=60, interval_iterations=10)
    with cluster(settings):
        if not restore:
            watch = Watch()
            # The folder tells the test how far the run is.
            watch.at_slice.append(lambda r: (folder / f"done_{r.slice}").touch())
            scheduler = HRFSScheduler(plan, "hrfs_paper", settings, [watch])
            config = make_run_config(folder, [StateCallback(scheduler)])
            fit_population(Counter, plan, {"seconds": 0.02}, scheduler, config)
            return
        tuner = tune.Tuner.restore(str(folder / "trials"), Counter, resume_unfinished=True)
        grid = tuner.fit()
        (callback,) = (
            c for c in tuner._local_tuner.get_run_config().callbacks if isinstance(c, StateCallback)
        )
        scheduler = callback.scheduler
        check(scheduler.core)
        histories = {
            c.trial: json.loads((Path(c.checkpoint) / "state.json").read_text())["history"]
            for c in scheduler.contenders()
        }
        report = {
            "finished": scheduler.finished,
            "errors": len(grid.errors),
            "next_slice": scheduler.core.state.next_slice,
            "iterations": {n: t.iteration for n, t in scheduler.core.state.trials.items()},
            "histories": histories,
            "values": {n: dict(t.hyperparameters) for n, t in scheduler.core.state.trials.items()},
        }
        (folder / "report.json").write_text(json.dumps(report))
        ray.shutdown()


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2:] == ["restore"])
