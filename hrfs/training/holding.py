"""Which trial a runner holds: its weights in a module, and what it goes on from beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pytorch_lightning import LightningModule

from hrfs.training.modules import (
    ModuleFactory,
    group_keys,
    note_hyperparameters,
    put_state,
    take_extra,
)
from hrfs.training.progress import Progress
from hrfs.training.randomness import Identity
from hrfs.training.state import TrialState, load_state


def state_of(module: LightningModule, progress: Progress) -> TrialState:
    """What is to be saved of a trial, sharing its tensors with the module and its optimizers."""
    seed, member = progress.identity
    return TrialState(
        state_dict=module.state_dict(),
        optimizer_states=progress.optimizer_states,
        trial=member,
        iteration=progress.iteration,
        seed=seed,
        hyper_parameters=progress.hyperparameters,
        precision_state=progress.precision_state,
        extra=take_extra(module),
    )


class Holding:
    """One trial, or none. The module object serves one after another, as far as it can."""

    def __init__(self, factory: ModuleFactory) -> None:
        self._factory = factory
        self._kept_module: LightningModule | None = None
        self._built_with: dict[str, Any] = {}
        self._fresh_trial: Identity | None = None
        self._progress: Progress | None = None

    @property
    def module(self) -> LightningModule:
        """The trial's.

        Raises:
            RuntimeError: there is none.
        """
        if self._kept_module is None:
            raise RuntimeError("begin or load must come first")
        return self._kept_module

    def begin(self, trial: Identity) -> None:
        """Fresh weights for ``trial`` (when its hyperparameters are known, at first use)."""
        self._progress = None
        self._fresh_trial = trial

    def load(self, file: Path) -> None:
        """Take up a saved state.

        Raises:
            CheckpointError: the file is damaged, foreign or of another network; no trial is
                held then.
        """
        self.let_go()
        state = load_state(file)
        if not self._serves(state.hyper_parameters, state.optimizer_states):
            self._build(state.identity, state.hyper_parameters)
        put_state(self.module, state, file)
        self._progress = Progress(
            state.identity,
            state.iteration,
            state.hyper_parameters,
            state.optimizer_states,
            state.precision_state,
            may_change_trial=True,
        )

    def state(self) -> TrialState:
        """What is to be saved; see :func:`state_of`.

        Raises:
            RuntimeError: no trial is held.
        """
        progress = self.hold(None, {})
        return state_of(self.module, progress)

    def accepted(self, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
        """Those hyperparameters that the module's constructor takes."""
        return self._factory.accepted(hyperparameters)

    def let_go(self) -> None:
        """Hold no trial; the module object stays, for the next."""
        self._progress = self._fresh_trial = None

    def goes_on(self, progress: Progress) -> None:
        """The module's weights are now those of ``progress``."""
        self._progress = progress

    @contextmanager
    def lent(self) -> Iterator[LightningModule]:
        """The module, to be trained: no trial is held meanwhile.

        If that fails the module is not kept: it would hold on to a GPU's memory, and what an
        interrupted fit leaves behind is no state.
        """
        module, self._kept_module = self.module, None
        self._progress = None
        yield module
        self._kept_module = module

    def hold(self, identity: Identity | None, hyperparameters: Mapping[str, Any]) -> Progress:
        """Make the module ready for that trial (None: whichever is held) and these values.

        Raises:
            RuntimeError: no trial is held, or another.
        """
        if self._fresh_trial is not None:
            self._progress = Progress(self._fresh_trial, 0, dict(hyperparameters))
            self._build(self._fresh_trial, hyperparameters)
            self._fresh_trial = None
        progress = self._progress
        if progress is None:
            raise RuntimeError("no trial is held: begin or load must come first")
        if identity is not None:
            progress.check_goes_on_as(identity)
        if not self._serves(hyperparameters, progress.optimizer_states):
            self._progress = None  # what a constructor that raises leaves behind is no state
            self._rebuild(progress.identity, hyperparameters)
            self._progress = progress
        return progress

    def _serves(
        self, hyperparameters: Mapping[str, Any], optimizer_states: list[dict[str, Any]]
    ) -> bool:
        """Whether the module at hand can go on with these values; notes them if so."""
        if self._kept_module is None:
            return False
        reach = group_keys(optimizer_states)
        accepted = self._factory.accepted(hyperparameters)
        for name, value in accepted.items():
            if name not in reach and self._built_with.get(name, None) != value:
                return False
        note_hyperparameters(self._kept_module, accepted)
        self._built_with.update(accepted)
        return True

    def _build(self, identity: Identity, hyperparameters: Mapping[str, Any]) -> None:
        self._kept_module = self._factory.build(identity, hyperparameters)
        self._built_with = self._factory.accepted(hyperparameters)

    def _rebuild(self, identity: Identity, hyperparameters: Mapping[str, Any]) -> None:
        """A new module object with the old one's weights and its own notes."""
        old = self.module
        weights, extra = old.state_dict(), take_extra(old)
        self._build(identity, hyperparameters)
        self.module.load_state_dict(weights, strict=True)
        if extra:
            self.module.on_load_checkpoint(extra)
