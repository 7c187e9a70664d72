"""What a runner holds of a trial beside the weights in its module."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hrfs.training.randomness import Identity


@dataclass(slots=True)
class Progress:
    """Whose state it is, how far it has come, and what the next slice goes on from."""

    identity: Identity
    iteration: int = 0
    hyperparameters: dict[str, Any] = field(default_factory=dict)
    optimizer_states: list[dict[str, Any]] = field(default_factory=list)
    precision_state: dict[str, Any] = field(default_factory=dict)
    may_change_trial: bool = False
    """True between ``load`` and ``run``: an exploited state goes on under another number."""

    def check_goes_on_as(self, identity: Identity) -> None:
        """Make sure that the next slice may be one of the trial ``identity``.

        Raises:
            RuntimeError: it is another trial and the state was not loaded for it, or it is one
                of another population.
        """
        (held_seed, held), (seed, member) = self.identity, identity
        if held_seed != seed:
            raise RuntimeError(
                f"a state of the population of seed {held_seed} cannot go on in that of seed {seed}"
            )
        if held != member and not self.may_change_trial:
            raise RuntimeError(f"trial {held} is held, not trial {member}")
