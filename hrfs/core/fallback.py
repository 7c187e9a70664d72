"""Where a trial goes on from when its checkpoint cannot be read."""

from __future__ import annotations

from hrfs.core.decisions import RollBack
from hrfs.core.events import CheckpointLost
from hrfs.core.state import SavedState, Trial

_BEGINNING = SavedState(0, None, None, None, None)


def fall_back(trial: Trial, event: CheckpointLost) -> RollBack:
    """Take ``trial``, a slice of which ended so, back to the state before its present one.

    If there is none, or that was never saved, nothing of the trial is left and it begins anew.

    Before an exploit's weights come the trial's own of the same iteration. Where the copy of the
    donor's checkpoint is lost, the trial goes on from these, with the explored hyperparameters:
    that costs no iteration. The donor's present checkpoint would cost none either, but may be
    the damaged file itself, and whether to take it over would have to be judged once more; the
    trial is judged again at its next boundary anyway, where a diverged one always exploits.

    Raises:
        ValueError: the trial began from no checkpoint; nothing has changed.
    """
    if trial.checkpoint is None:
        raise ValueError(f"slice {event.slice} began from no checkpoint")
    kept = trial.before
    if kept is None or kept.checkpoint is None:
        kept = _BEGINNING
    done = RollBack(
        trial=trial.number,
        from_iteration=trial.iteration,
        iteration=kept.iteration,
        lost=trial.checkpoint,
        checkpoint=kept.checkpoint,
        donor=trial.parent,
        reason=event.reason,
    )
    trial.lost_iterations += trial.iteration - kept.iteration
    trial.iteration, trial.checkpoint, trial.parent = kept.iteration, kept.checkpoint, kept.parent
    trial.last_worker, trial.last_score = kept.worker, kept.score
    trial.before = None
    return done
