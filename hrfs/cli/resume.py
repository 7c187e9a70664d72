"""``python -m hrfs resume=outputs/...``: a run that was cut off goes on in its folder.

Its configuration is that of the folder. Nothing that is read here can run code: YAML and JSON
for the configuration and the event log; Ray Tune's own pickles are not looked at.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hrfs.cli.build import build_cluster, build_plan, build_runner, build_scheduler
from hrfs.cli.folder import CONFIG, hold
from hrfs.cli.interruption import resumable
from hrfs.cli.job import Launch, check_data, train
from hrfs.cli.log_file import LogFile
from hrfs.cli.resume_config import read_choices, read_config
from hrfs.cli.validate import validate
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.event_log import EVENTS_NAME, parse_log
from hrfs.experiment.event_replay import Replay, rebuild
from hrfs.experiment.launch import RAY_PBT, TRIALS_FOLDER, Status
from hrfs.experiment.plan import Plan
from hrfs.training.settings import RunnerSettings

if TYPE_CHECKING:
    from hrfs.reporting import History

KEY = "resume"


def resume_run(folder: Path, others: Sequence[str]) -> Status:
    """Go on with the run in ``folder``; ``others`` is what was typed beside ``resume=``.

    Everything that can be refused is, before Ray is imported.

    Raises:
        ConfigError: no run, one that is under way or of a newer format, or other settings.
    """
    if not (folder / CONFIG).is_file():
        rule = f"holds no run: there is no {CONFIG} in it"
        raise ConfigError(KEY, folder, rule, "give the folder of a run, such as outputs/DAY/TIME")
    folder = folder.resolve()
    with hold(folder, KEY):
        config = read_config(folder, others)
        if _has_finished(folder):
            print(f"hrfs: {folder} holds a finished run; there is nothing to resume")
            return "finished"
        validate(config)
        plan = build_plan(config, read_choices(folder))
        launch = Launch(build_cluster(config), build_scheduler(config), build_runner(config))
        if launch.scheduler.policy == RAY_PBT:
            rule = f"is a run of scheduler={RAY_PBT}, whose state only Ray has"
            raise ConfigError(KEY, folder, rule, "run it anew")
        check_data(config)
        launch = with_choices(launch, folder)
        with _log_file(folder), resumable(folder, launch.scheduler.policy):
            return _go_on(folder, config, plan, launch)


def _has_finished(folder: Path) -> bool:
    try:
        summary = json.loads((folder / "summary.json").read_bytes())
    except (FileNotFoundError, ValueError, RecursionError):
        return False  # not written yet, or torn: the event log decides
    return isinstance(summary, dict) and summary.get("status") == "finished"


def _go_on(folder: Path, config: Mapping[str, Any], plan: Plan, launch: Launch) -> Status:
    from hrfs.reporting import History
    from hrfs.reporting.slices_reconcile import reconcile

    history = History()
    replay = _read_events(folder, plan, launch, history)
    if replay is None:
        print(f"hrfs: {folder}: no slice had begun; the run begins anew")
        return train(config, plan, launch, folder).status
    try:
        changed = reconcile(folder / "slices.csv", history.records)
    except OSError as error:
        rule = f"cannot be written ({error.strerror or error})"
        raise ConfigError(KEY, folder, rule, "free space, or mend its permissions") from error
    if changed:
        history.warn(f"slices.csv was put right by the event log: {changed}")
    _tell(folder, replay, history)
    return train(config, plan, launch, folder, history, replay).status


def with_choices(launch: Launch, folder: Path) -> Launch:
    """What the workers chose before, where the trainer leaves a choice to them, they keep.

    Raises:
        ConfigError: the file that has it cannot be read.
    """
    if not RunnerSettings.from_plain(launch.runner.settings).trainer.undecided:
        return launch
    from hrfs.reporting.assembly import ENVIRONMENT
    from hrfs.reporting.worker_facts import read_worker_facts

    told = read_worker_facts(folder / ENVIRONMENT)
    chosen = {name: facts for name, facts in told.items() if "trainer" in facts}
    settings = {**launch.runner.settings, "chosen": chosen}
    return replace(launch, runner=replace(launch.runner, settings=settings))


def _read_events(folder: Path, plan: Plan, launch: Launch, history: History) -> Replay | None:
    """What the event log leads to, also told to ``history``; None if nothing had happened.

    Raises:
        ConfigError: the log cannot be read, or is of other settings.
    """
    root = folder / TRIALS_FOLDER
    path = root / EVENTS_NAME
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    if b"\n" not in data:
        return None  # the driver was killed while it wrote the first line
    log = parse_log(data, str(path), str(root))
    if log.torn:
        history.warn(f"{path}: left out {log.torn} bytes of a torn line at its end")
    history.on_start(plan, [])
    choice = launch.scheduler
    return rebuild(log, str(path), plan, choice.policy, choice.max_staleness_iterations, history)


def _tell(folder: Path, replay: Replay, history: History) -> None:
    again = [str(start.slice) for start in replay.under_way()]
    done = f"{len(history.records)} slices are done"
    under_way = f"slices under way, which are done again: {', '.join(again) or 'none'}"
    history.warn(f"resumed after {replay.elapsed_s:.1f} s; {done}; {under_way}")
    print(f"hrfs: {folder} goes on: {done}, {len(again)} are done again")


@contextmanager
def _log_file(folder: Path) -> Iterator[None]:
    """Log as Hydra does for a run, into the same file."""
    handler = LogFile(folder / "hrfs.log")
    handler.setFormatter(logging.Formatter("[%(asctime)s][%(name)s][%(levelname)s] %(message)s"))
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.captureWarnings(True)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.setLevel(level)
        root.removeHandler(handler)
        handler.close()
