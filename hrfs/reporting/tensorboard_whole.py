"""Curves about the run as a whole, and how TensorBoard's custom scalars tab arranges them.

``score/best`` is the best score so far; ``score/upper_quartile``, ``score/median`` and
``score/lower_quartile`` are of the last scores of all trials. ``spread/iterations`` is how far the
most advanced trial is ahead of the least advanced one that has not ended.
``utilisation/<kind>`` is the busy share of the workers of that kind since the first start;
``handover/share`` what part of all workers' busy time went into loading, saving and waiting.
"""

from __future__ import annotations

import math

import numpy as np
from tensorboard.compat.proto import summary_pb2, tensor_pb2, types_pb2
from tensorboard.plugins.custom_scalar import layout_pb2, metadata

from hrfs.experiment.records import SliceRecord
from hrfs.reporting.figures import utilisation
from hrfs.reporting.history import History

CHARTS: dict[str, dict[str, tuple[str, ...]]] = {
    "population": {
        "score": (r"score/best", r"score/upper_quartile", r"score/median", r"score/lower_quartile"),
        "generation spread": (r"spread/iterations",),
        "exploits": (r"exploits",),
    },
    "workers": {
        "utilisation by kind": (r"utilisation/.*",),
        "hand-over": (r"handover/share",),
        "busy": (r"workers/busy",),
    },
}
"""Category to chart to the tags in it, as regular expressions."""


class Whole:
    """The curves of the run ``experiment``; ``history`` must have been told of a slice first."""

    def __init__(self, history: History) -> None:
        self._history = history
        self._first_start_s = math.inf
        self._held_s = 0.0
        self._handover_s = 0.0
        for record in history.records:  # of a run that goes on
            self._add(record)

    def _add(self, record: SliceRecord) -> None:
        self._first_start_s = min(self._first_start_s, record.start_s)
        self._held_s += record.duration_s
        self._handover_s += record.load_s + record.save_s + record.wait_s

    def scalars(self, record: SliceRecord) -> dict[str, float]:
        """Every curve's value at the end of the slice."""
        self._add(record)
        history, passed_s = self._history, record.end_s - self._first_start_s
        values = {
            "workers/busy": float(len({*history.running, record.worker})),
            "exploits": float(len(history.exploits)),
            "failures": float(len(history.failures)),
            "spread/iterations": float(self._spread()),
            **scores(history, None),
        }
        busy = utilisation(history.busy_s, passed_s, len(history.workers))
        if busy is not None:
            values["workers/utilisation"] = busy
        values |= self._by_kind(passed_s)
        if self._held_s > 0:
            values["handover/share"] = self._handover_s / self._held_s
        return values

    def _spread(self) -> int:
        trials = self._history.trials.values()
        last = min((t.iterations for t in trials if not t.ended), default=None)
        return 0 if last is None else self._history.leader_iterations() - last

    def _by_kind(self, passed_s: float) -> dict[str, float]:
        history = self._history
        kinds: dict[str, dict[str, float]] = {}
        for name, worker in history.workers.items():
            kinds.setdefault(worker.kind, {})[name] = history.busy_s.get(name, 0.0)
        shares = {k: utilisation(busy, passed_s, len(busy)) for k, busy in kinds.items()}
        return {f"utilisation/{kind}": s for kind, s in shares.items() if s is not None}


def scores(history: History, population: int | None) -> dict[str, float]:
    """Best score so far and quartiles of the last ones: of a population, or of all (None)."""
    values: dict[str, float] = {}
    best = history.best(population)
    if best is not None and best.score is not None:
        values["score/best"] = best.score
    last = [trial.last_score for trial in history.of_population(population)]
    finite = [score for score in last if score is not None and math.isfinite(score)]
    if finite:
        lower, median, upper = (float(q) for q in np.quantile(finite, (0.25, 0.5, 0.75)))
        values |= {
            "score/lower_quartile": lower,
            "score/median": median,
            "score/upper_quartile": upper,
        }
    return values


def layout() -> summary_pb2.Summary.Value:
    """What TensorBoard's custom scalars tab is to show."""
    categories = [
        layout_pb2.Category(
            title=category,
            chart=[
                layout_pb2.Chart(title=title, multiline=layout_pb2.MultilineChartContent(tag=tags))
                for title, tags in charts.items()
            ],
        )
        for category, charts in CHARTS.items()
    ]
    content = layout_pb2.Layout(category=categories).SerializeToString()
    return summary_pb2.Summary.Value(
        tag=metadata.CONFIG_SUMMARY_TAG,
        tensor=tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[content]),
        metadata=metadata.create_summary_metadata(),
    )
