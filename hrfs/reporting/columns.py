"""Names of the columns of ``slices.csv``."""

from __future__ import annotations

from hrfs.experiment.records import SLICE_COLUMNS

PART_COLUMNS = ("load_s", "train_s", "evaluate_s", "save_s", "wait_s")
"""What a slice's seconds were spent on."""

FIXED_COLUMNS = (*SLICE_COLUMNS, "worker_kind", "score", "reason", "parent", *PART_COLUMNS)
"""The columns of every file, whatever is trained."""

HYPERPARAMETER_PREFIX = "hp/"
METRIC_PREFIX = "metric/"


def metric_column(name: str) -> str:
    """Column of a metric: its name, unless that would be taken for something else."""
    taken = name in FIXED_COLUMNS or name.startswith((HYPERPARAMETER_PREFIX, METRIC_PREFIX))
    return METRIC_PREFIX + name if taken else name
