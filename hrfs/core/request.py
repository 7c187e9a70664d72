"""Which single resource request serves a population best, where every trial must ask alike.

Ray Tune's own population-based training gives all trials the same request, fixed before the
run, so that only the workers that answer it can serve.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hrfs.core.subset import AFFORDABLE_SLICES, estimated_finish_s, greedy_finish_s


def predicted_makespan_s(
    seconds_per_iteration: Sequence[float], trials: int, stop_iterations: int, interval: int
) -> float:
    """How long Ray's asynchronous PBT takes on these workers alone, in seconds.

    A free worker takes the trial whose last perturbation was earliest, by one interval: the
    least advanced first (:func:`~hrfs.core.subset.greedy_finish_s`; beyond
    :data:`~hrfs.core.subset.AFFORDABLE_SLICES` slices its estimate). C* would not do: it grows
    no worse with a worker that is far too slow, and Ray's placement does.

    Args:
        seconds_per_iteration: of each worker, in any order, evaluation included.
        trials: how many; each does ``stop_iterations`` in slices of ``interval``.

    Raises:
        ValueError: no worker, or seconds that are not positive.
    """
    seconds = sorted(seconds_per_iteration)
    if not seconds or not seconds[0] > 0:
        raise ValueError(f"seconds={seconds!r}: at least one, each positive")
    if trials * -(-stop_iterations // interval) > AFFORDABLE_SLICES:
        return float(estimated_finish_s(seconds, trials, stop_iterations, interval)[-1])
    return greedy_finish_s(seconds, trials, stop_iterations, interval)


def best_request(predicted_s: Mapping[str, float]) -> str:
    """The request with the least predicted makespan, of equals the first named.

    Raises:
        ValueError: there is no request.
    """
    return min(predicted_s, key=lambda request: predicted_s[request])
