"""What is told to the core is decided on, done, written down and, in that order, reported."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ray.tune.experiment import Trial

from hrfs.core.decisions import StartSlice
from hrfs.experiment.errors import StorageError
from hrfs.experiment.event_log import Entry
from hrfs.experiment.event_replay import Replay, told_starts
from hrfs.tuning.context import Context
from hrfs.tuning.journal import Journal
from hrfs.tuning.lineage import inherit_policy
from hrfs.tuning.outbound import Outbound
from hrfs.tuning.retention import Retention


class Ledger:
    """Keeps the event log, and deletes checkpoints only when the log needs them no more.

    Args:
        settings: what the core's decisions follow from, for the head of the log.
        replay: what an earlier driver left behind, if there was one.
    """

    def __init__(
        self,
        context: Context,
        outbound: Outbound,
        settings: Mapping[str, Any],
        replay: Replay | None = None,
    ) -> None:
        self._context = context
        self._outbound = outbound
        self._journal = Journal(settings, replay.size if replay else 0)
        self._retention = Retention(replay.kept if replay else None)
        self._unsettled = False
        self._broken = False

    def adopt(self, number: int, trial: Trial, renamed: bool) -> None:
        """Take over the folder of a trial; ``renamed``: it had another name in Tune before."""
        self._retention.tidy(number, trial)
        if renamed:
            inherit_policy(Path(trial.local_experiment_path), trial.trial_id)

    def enter(self, entry: Entry) -> None:
        """Tell the core, and carry out what it decides.

        Raises:
            ValueError: the event contradicts what happened so far.
            StorageError: an exploit could not be copied.
        """
        self._unsettled = True
        self._journal.note(entry)
        with self._storage():
            decisions = self._context.core.handle(entry.event)
            starts = told_starts([d for d in decisions if isinstance(d, StartSlice)])
            if starts:
                entry.facts["starts"] = starts
            for decision in decisions:
                self._outbound.carry_out(decision, entry.facts)

    def settle(self) -> None:
        """Write the log, then tell observers; then what only an older state needs may go.

        After a fault nothing more is written: the log must not tell of what was done by half.

        Raises:
            StorageError: the storage cannot be written.
        """
        if self._unsettled and not self._broken:
            self._unsettled = False
            with self._storage():
                self._journal.write(self._context.trials)
                self._context.observers.flush()
                self._retention.apply(self._context)

    @contextmanager
    def _storage(self) -> Iterator[None]:
        """What the disk refuses within ends the run."""
        whole = False
        try:
            yield
            whole = True
        except FileNotFoundError:
            raise  # no fault of the disk
        except OSError as error:
            folder = next(
                (str(t.storage.experiment_fs_path) for t in self._trials()), "the storage"
            )
            raise StorageError.of(error.filename or folder, error) from error
        finally:
            self._broken = self._broken or not whole

    def _trials(self) -> Iterable[Trial]:
        return self._context.trials.values()
