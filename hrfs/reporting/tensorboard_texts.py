"""What TensorBoard's text tab says of a run, as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from hrfs.experiment.plan import Plan
from hrfs.reporting.history import History, TrialHistory
from hrfs.reporting.words import number

CONFIG = "config.yaml"


def labels_table(plan: Plan) -> str:
    """The plan's labels as a table, the cluster first."""
    facts = {"cluster": plan.labels.get("cluster", "")} | dict(plan.labels)
    facts |= {"trials": plan.trials, "stop_iterations": plan.stop_iterations}
    facts |= {
        "interval_iterations": plan.interval_iterations,
        "seed": ", ".join(map(str, plan.seeds)),
    }
    return table(("what", "value"), [(name, str(value)) for name, value in facts.items()])


def config_text(folder: Path) -> str | None:
    """The resolved configuration of the run in ``folder``; None without one.

    Raises:
        OSError: it is there and cannot be read.
    """
    path = folder / CONFIG
    if not path.is_file():
        return None
    lines = path.read_text(encoding="utf-8").splitlines()
    return "\n".join(f"    {line}" for line in lines)  # indented: Markdown shows it as it is


def lineage_text(history: History, trial: TrialHistory) -> str:
    """Where the weights of ``trial`` come from and by which values it was trained."""
    score = "-" if trial.last_score is None else f"{trial.last_score:.4f}"
    lines = [f"Trial {trial.trial}, {history.plan.metric} {score} at {trial.iterations}.", ""]
    if trial.lineage:
        steps = [(str(at), f"trial {donor}") for donor, at in reversed(trial.lineage)]
        lines += [table(("at iteration", "took the weights of"), steps), ""]
    else:
        lines += ["Its weights are its own from the first iteration on.", ""]
    rows = [
        (str(start), ", ".join(f"{name} {number(value)}" for name, value in values.items()))
        for start, values in trial.timeline
    ]
    return "\n".join([*lines, table(("from iteration", "its own values"), rows)])


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [" | ".join(cells) for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join(f"| {line} |" for line in lines)
