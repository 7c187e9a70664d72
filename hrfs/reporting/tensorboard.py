"""TensorBoard: one run per trial, ``trial_00`` ..., and one for the whole, ``experiment``.

Runs of trials have the trial's iteration as step: every metric under its own name
(``train/loss``, ``val/acc``, ...), each hyperparameter under its own name (``lr``,
``momentum``; ``hp/<name>`` if a metric has that name), ``staleness`` (iterations behind the
leader when the slice ended) and ``worker/kind`` (a number; ``worker/name`` and the
experiment's ``run`` say in words which kind that is). Hyperparameters that are no numbers are
texts. The run ``experiment`` has the iterations of all trials together as step, the curves of
:mod:`hrfs.reporting.tensorboard_whole`, and as texts the configuration and at the end the winner's
lineage. Wall times are those of the slices.

Of several populations each has a folder of its own, named by its seed: ``seed_1/trial_05`` and
``seed_1/experiment``, with the scores and exploits of that population and the iterations of its
trials as step. Trials keep the numbers that they have in the other files.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from hrfs.experiment.observer import Observer
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import SliceRecord, SliceStart, WorkerInfo
from hrfs.reporting import hparams
from hrfs.reporting.cells import encode_value, plain
from hrfs.reporting.durable import WriteGuard
from hrfs.reporting.event_file import EventFile
from hrfs.reporting.history import History
from hrfs.reporting.tensorboard_texts import config_text, labels_table, lineage_text
from hrfs.reporting.tensorboard_whole import Whole, layout, scores

EXPERIMENT = "experiment"
"""Name of the run that is about the whole population."""


class TensorBoard(Observer):
    """Writes event files below ``folder``; ``history`` must have been told first.

    The configuration that the text tab shows is looked for beside ``folder``.
    """

    def __init__(
        self, folder: Path, history: History, wall_clock: Callable[[], float] = time.time
    ) -> None:
        self._folder = folder
        self._history = history
        self._wall_clock = wall_clock
        self._guard = WriteGuard(folder, history.warn)
        self._origin = 0.0
        """Wall time of the run's second 0."""
        self._timed = False
        self._files: dict[str, EventFile] = {}
        self._kinds: list[str] = []
        self._last_words: dict[tuple[str, str], str] = {}
        self._whole = Whole(history)

    def on_start(self, plan: Plan, workers: Sequence[WorkerInfo]) -> None:
        self._origin = self._wall_clock()
        self._whole = Whole(self._history)
        earlier = self._history.records  # of a run that goes on
        self._kinds = list(dict.fromkeys(map(self._history.kind_of, earlier)))
        self._guard.attempt(lambda: self._open(plan))
        self._flush()

    def on_slice_start(self, start: SliceStart) -> None:
        if not self._timed:  # on_start has no time: some of the run's seconds may have passed
            self._origin = self._wall_clock() - start.start_s
            self._timed = True

    def on_slice(self, record: SliceRecord) -> None:
        self._guard.attempt(lambda: self._open(self._history.plan))
        if self._files:
            self._trial_scalars(record)
            self._experiment_scalars(record)
            if len(self._history.plan.seeds) > 1:
                self._population_scalars(record)
        self._flush()

    def on_end(self, time_s: float) -> None:
        if not self._files:
            return
        wall = self._origin + time_s
        for trial in self._history.trials.values():
            status = trial.status(self._history.plan.stop_iterations)
            ending = hparams.session_end(status, wall)
            self._files[self._run(trial.trial)].summary(ending, trial.iterations, wall)
        winner = self._history.winner()
        if winner is not None:
            told = lineage_text(self._history, winner)
            self._files[EXPERIMENT].text("winner", told, self._history.iterations, wall)
        self._flush()

    def _run(self, trial: int) -> str:
        plan = self._history.plan
        digits = max(2, len(str(plan.trials - 1)))
        return f"{_folder(plan, plan.populations.of(trial))}trial_{trial:0{digits}d}"

    def _open(self, plan: Plan) -> None:
        """Make all files with what stands at their beginning, unless that is done."""
        if self._files:
            return
        names = [EXPERIMENT, *(self._run(trial) for trial in range(plan.trials))]
        if len(plan.seeds) > 1:
            names += [_folder(plan, number) + EXPERIMENT for number in range(len(plan.seeds))]
        files = {name: EventFile(self._folder / name) for name in names}
        wall = self._origin
        first = {trial: plan.initial_hyperparameters(trial) for trial in range(plan.trials)}
        headline = str(plan.labels.get("cluster", ""))
        if not files[EXPERIMENT].goes_on:
            columns = hparams.experiment(headline, first.get(0, {}), [plan.metric], wall)
            files[EXPERIMENT].summary(columns, 0, wall)
            files[EXPERIMENT].summary(layout(), 0, wall)
            files[EXPERIMENT].text("run", labels_table(plan), 0, wall)
            config = config_text(self._folder.parent)
            if config is not None:
                files[EXPERIMENT].text("config", config, 0, wall)
        for trial, values in first.items():
            run = self._run(trial)
            if files[run].goes_on:
                continue
            files[run].summary(hparams.session_start(run, values, wall), 0, wall)
        self._files = files

    def _trial_scalars(self, record: SliceRecord) -> None:
        run = self._run(record.trial)
        step, wall = record.to_iteration, self._origin + record.end_s
        scalars = {name: float(value) for name, value in record.metrics.items()}
        if record.score is not None:
            scalars.setdefault(self._history.plan.metric, float(record.score))
        for name, value in record.hyperparameters.items():
            value = plain(value)
            tag = f"hp/{name}" if name in scalars else name
            if isinstance(value, (bool, int, float)):
                scalars[tag] = float(value)
            else:
                self._words(run, tag, encode_value(value), step, wall)
        scalars["staleness"] = float(self._history.leader_iterations() - step)
        kind = self._history.kind_of(record)
        scalars["worker/kind"] = float(self._kind_number(kind, wall))
        for tag, value in scalars.items():
            self._files[run].scalar(tag, value, step, wall)
        self._words(run, "worker/name", f"{record.worker} ({kind})", step, wall)

    def _kind_number(self, kind: str, wall: float) -> int:
        if kind not in self._kinds:
            self._kinds.append(kind)
            rows = [f"| {number} | {name} |" for number, name in enumerate(self._kinds)]
            table = "\n".join(["| worker/kind | is |", "| --- | --- |", *rows])
            self._files[EXPERIMENT].text("worker kinds", table, self._history.iterations, wall)
        return self._kinds.index(kind)

    def _words(self, run: str, tag: str, words: str, step: int, wall: float) -> None:
        """A text, written only when it changes."""
        if self._last_words.get((run, tag)) != words:
            self._last_words[run, tag] = words
            self._files[run].text(tag, words, step, wall)

    def _experiment_scalars(self, record: SliceRecord) -> None:
        wall = self._origin + record.end_s
        for tag, value in self._whole.scalars(record).items():
            self._files[EXPERIMENT].scalar(tag, value, self._history.iterations, wall)

    def _population_scalars(self, record: SliceRecord) -> None:
        history, plan = self._history, self._history.plan
        population = plan.populations.of(record.trial)
        trials = list(history.of_population(population))
        exploits = float(sum(trial.exploits_taken for trial in trials))
        step = sum(trial.iterations for trial in trials)
        file, wall = self._files[_folder(plan, population) + EXPERIMENT], record.end_s
        for tag, value in {"exploits": exploits, **scores(history, population)}.items():
            file.scalar(tag, value, step, self._origin + wall)

    def _flush(self) -> None:
        def flush_all() -> None:
            for file in self._files.values():
                file.flush()

        self._guard.attempt(flush_all)


def _folder(plan: Plan, population: int) -> str:
    """What stands before the names of a population's runs: nothing if it is the only one."""
    return f"seed_{plan.seeds[population]}/" if len(plan.seeds) > 1 else ""


def write_test_metrics(
    folder: Path,
    test_metrics: Mapping[str, float],
    history: History,
    population: int | None = None,
) -> None:
    """Add the winner's test metrics (``test/acc``, ...) to the finished run ``experiment``.

    That of one population, or of all (None). A metric whose name does not begin with ``test/``
    gets that before it.
    """

    def write() -> None:
        within = "" if population is None else _folder(history.plan, population)
        step = sum(trial.iterations for trial in history.of_population(population))
        file = EventFile(folder / f"{within}{EXPERIMENT}")
        for name, value in test_metrics.items():
            tag = name if name.startswith("test/") else f"test/{name}"
            file.scalar(tag, float(value), step, time.time())
        file.flush()

    WriteGuard(folder, history.warn).attempt(write)
