"""Whatever happens, no checkpoint is deleted that somebody may still go on from."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pyarrow.fs import LocalFileSystem

from hrfs.core.decisions import Decision, Exploit, StartSlice
from hrfs.core.events import (
    CheckpointLost,
    Event,
    SliceDone,
    SliceFailed,
    TrialAdded,
    TrialRemoved,
    WorkerJoined,
)
from hrfs.core.scheduler import Scheduler, Settings
from hrfs.core.search_space import Hyperparameter, Uniform

pytestmark = pytest.mark.ray

SPACE = {"lr": Hyperparameter(Uniform(0.1, 1.0), Uniform(0.05, 2.0))}


class FakeTrial:
    """The folders of a trial, and what Tune knows of them."""

    def __init__(self, root: Path, number: int) -> None:
        self.folder = root / f"trial_{number}"
        self.storage = SimpleNamespace(
            storage_filesystem=LocalFileSystem(), trial_fs_path=str(self.folder)
        )
        self.manager = SimpleNamespace(_checkpoint_results=[])
        self.run_metadata = SimpleNamespace(checkpoint_manager=self.manager)
        self.checkpoint: Any = None
        self.local_experiment_path = str(root)
        self.trial_id = f"ab_{number:05d}"

    def save(self, name: str) -> str:
        """A checkpoint that Tune is told of."""
        made = self.folder / f"checkpoint_{name}"
        made.mkdir(parents=True)
        (made / "state.ckpt").write_text(name)
        self.checkpoint = SimpleNamespace(path=str(made))
        self.manager._checkpoint_results.append(SimpleNamespace(checkpoint=self.checkpoint))
        return str(made)

    def invalidate_json_state(self) -> None:
        """Tune's own."""


class Storage:
    """A core, its trials' folders on a disk, and the retention that is tested."""

    def __init__(self, root: Path) -> None:
        from hrfs.core.policies import make_policy
        from hrfs.tuning.exploits import Exploits
        from hrfs.tuning.retention import Retention

        self.core = Scheduler(Settings(60, 10, search_space=SPACE), make_policy("hrfs_paper"))
        self.trials = {number: FakeTrial(root, number) for number in range(4)}
        self.exploits, self.retention = Exploits(), Retention()
        self.starts: dict[int, StartSlice] = {}
        self.saved = 0
        self.early: dict[int, str] = {}
        """Slices under way whose state is saved, of which the core does not know yet."""
        for number in range(4):
            self.tell(TrialAdded(0.0, number, {"lr": 0.2 * (number + 1)}))
        for name in ("a", "b"):
            self.tell(WorkerJoined(0.0, name, "cpu"))

    def tell(self, event: Event) -> None:
        for decision in self.core.handle(event):
            self.carry_out(decision)

    def carry_out(self, decision: Decision) -> None:
        if isinstance(decision, StartSlice):
            self.starts[decision.slice] = decision
        elif isinstance(decision, Exploit):
            taker, donor = self.trials[decision.trial], self.trials[decision.donor]
            values = self.core.state.trials[decision.donor].hyperparameters
            self.exploits.take_over(decision, cast(Any, taker), cast(Any, donor), values, 0.0)

    def save(self, number: int) -> str:
        """The state of a slice under way is written, once."""
        if number not in self.early:
            self.saved += 1
            trial = self.trials[self.core.state.running[number].trial]
            self.early[number] = trial.save(f"{self.saved:06d}")
        return self.early[number]

    def apply(self) -> None:
        memory = SimpleNamespace(exploits=self.exploits)
        context = SimpleNamespace(core=self.core, memory=memory, trials=self.trials)
        self.retention.apply(cast(Any, context))

    def check(self) -> None:
        """All that is referred to is there, and not much more."""
        for number, trial in self.core.state.trials.items():
            needed = self.exploits.checkpoints_of(trial)
            assert len(needed) <= 2
            present = self.exploits.path_for(number, trial.checkpoint)
            assert present is None or needed[-1] == present
            for path in needed:
                assert (Path(path) / "state.ckpt").exists(), (trial, path)
        for number, start in self.core.state.running.items():
            path = self.exploits.path_for(start.trial, self.starts[number].checkpoint)
            assert path is None or Path(path).exists(), "a slice under way begins from it"
        for path in (self.early[number] for number in self.core.state.running.keys() & self.early):
            assert Path(path).exists(), "saved, and about to be told"
        for trial in self.trials.values():
            if trial.folder.exists():
                assert len(list(trial.folder.iterdir())) <= 4


ACTS = st.sampled_from(["done", "done", "done", "saved", "failed", "lost", "removed", "settle"])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    acts=st.lists(st.tuples(ACTS, st.integers(0, 7), st.floats(0, 1), st.booleans()), max_size=40)
)
def test_nothing_is_deleted_that_is_referred_to(
    acts: list[tuple[str, int, float, bool]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    storage = Storage(tmp_path_factory.mktemp("storage"))
    for act, which, score, settles in acts:
        if not storage.core.state.running:
            break
        under_way = sorted(storage.core.state.running)
        number = under_way[which % len(under_way)]
        trial = storage.core.state.running[number].trial
        if act == "done":
            path = storage.save(number)
            storage.tell(SliceDone(1.0, number, 1.0, score, path))
        elif act == "saved":
            storage.save(number)
        elif act == "failed":
            storage.tell(SliceFailed(1.0, number, "planted"))
        elif act == "lost" and storage.starts[number].checkpoint is not None:
            storage.tell(CheckpointLost(1.0, number, "planted"))
        elif act == "removed" and which == 7:
            storage.tell(TrialRemoved(1.0, trial, "planted"))
        if settles or act == "settle":
            storage.apply()
        storage.check()


def test_a_donor_whose_checkpoint_is_gone_stops_nobody(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from hrfs.tuning.transfer import adopt

    trial = FakeTrial(tmp_path, 0)
    target = adopt(cast(Any, trial), str(tmp_path / "trial_1" / "checkpoint_000001"), "exploit_0")
    assert not Path(target).exists()
    assert "which a trial was to take over, is gone" in caplog.text
