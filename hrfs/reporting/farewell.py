"""The last words of a run: who won, how good the schedule was, and where the files are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rich.console import Console as Screen
from rich.table import Table
from rich.text import Text

from hrfs.reporting.over_gpus import over_gpus_line
from hrfs.reporting.screen import make_screen
from hrfs.reporting.words import number, share


def print_summary(
    summary: Mapping[str, Any], out_dir: Path, mode: str = "auto", screen: Screen | None = None
) -> None:
    """Print ``summary`` (as from ``summarise``); in mode ``quiet`` one line of it."""
    screen = screen or make_screen()
    lines = summary_lines(summary, out_dir)
    if mode == "quiet":
        screen.print(Text(f"{lines['winner']}; files: {out_dir}"), soft_wrap=True)
        return
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="bold", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, text in lines.items():
        grid.add_row(name, Text(text))
    screen.print()
    screen.print(grid)


def summary_lines(summary: Mapping[str, Any], out_dir: Path) -> dict[str, str]:
    """What is said at the end, by its heading."""
    reason = summary["reason"]
    lines = {
        "run": f"{summary['status']}: {reason}" if reason else str(summary["status"]),
        "winner": _winner(summary),
        "winners": _winners(summary),
        "best seen": _best(summary) if summary["best"] else "",
        "time": _time(summary),
        "over GPUs": over_gpus_line(summary["over_gpus"]) if summary["over_gpus"] else "",
        "estimates": _estimates(summary["estimates"]),
        "work": _work(summary),
        "workers": _workers(summary),
    }
    if summary["cluster"] or summary["emulated"]:
        name = str(summary["cluster"] or "")
        unsaid = summary["emulated"] and not name.startswith("emulated")
        lines["cluster"] = f"emulated: {name}" if unsaid else name
    if summary["warnings"]:
        lines["warnings"] = "\n".join(summary["warnings"])
    lines["files"] = str(out_dir)
    lines["curves"] = f"tensorboard --logdir {out_dir / 'tensorboard'}"
    return {name: text for name, text in lines.items() if text}


def _winner(summary: Mapping[str, Any]) -> str:
    winner = summary["winner"]
    seed = "" if winner is None or "seed" not in winner else f" of seed {winner['seed']}"
    return _won(summary, summary["plan"]["metric"], seed)


def _winners(summary: Mapping[str, Any]) -> str:
    """Of several populations a line for each."""
    metric = summary["plan"]["metric"]
    return "\n".join(
        f"seed {told['seed']}: {_won(told, metric)}" for told in summary.get("populations", ())
    )


def _won(told: Mapping[str, Any], metric: str, seed: str = "") -> str:
    """Who won a run or a population, and the test."""
    winner = told["winner"]
    if winner is None:
        why = "" if told["test_reason"] == told.get("reason") else told["test_reason"]
        return f"none: {why or 'no trial has a finite score'}"
    text = f"trial {winner['trial']}{seed}, {metric} {number(winner['score'])}"
    if told["test"] is None:
        return f"{text}, not tested: {told['test_reason']}"
    return ", ".join([text, *(f"{name} {number(v)}" for name, v in told["test"].items())])


def _estimates(told: Mapping[str, Any]) -> str:
    if not told["slices"]:
        return ""
    return (
        f"{told['inside_80_percent_interval']:.0%} of {told['slices']} slices took as long as "
        f"predicted within the 80 % interval; median error {told['median_error']:.0%}"
    )


def _best(summary: Mapping[str, Any]) -> str:
    best = summary["best"]
    seed = f" of seed {best['seed']}" if "seed" in best else ""
    score, iteration = number(best["score"]), best["iteration"]
    return f"{score} by trial {best['trial']}{seed} at iteration {iteration}"


def _time(summary: Mapping[str, Any]) -> str:
    parts = [
        f"makespan {number(summary['makespan_s'])} s",
        f"least possible C* {number(summary['bound_s'])} s",
        f"ratio {number(summary['ratio'])}",
        f"utilisation {share(summary['utilisation'])}",
    ]
    if summary["plan"]["target_score"] is not None:
        reached = summary["time_to_target_s"]
        parts.append("target not reached" if reached is None else f"target at {number(reached)} s")
    return ", ".join(parts)


def _work(summary: Mapping[str, Any]) -> str:
    trials = ", ".join(f"{many} {status}" for status, many in summary["trials"].items() if many)
    parts = [
        f"trials: {trials}",
        f"slices {summary['slices']}",
        f"migrations {summary['migrations']}",
        f"exploits {summary['exploits']}",
        _failures(summary["failures"]),
    ]
    if summary["rollbacks"]["count"]:
        parts.append(f"iterations done again {summary['rollbacks']['iterations_lost']}")
    if summary["diverged"]:
        parts.append(f"diverged {summary['diverged']}")
    return "; ".join(parts)


def _failures(told: Mapping[str, Any]) -> str:
    """``failures 3 (2 worker lost, 1 exception)``."""
    kinds = ", ".join(f"{many} {kind}" for kind, many in told["kinds"].items())
    return f"failures {told['count']}" + (f" ({kinds})" if kinds else "")


def _workers(summary: Mapping[str, Any]) -> str:
    kinds = summary["worker_kinds"].items()
    return "; ".join(
        f"{kind['workers']} {name}: {share(kind['share'])} of the iterations"
        for name, kind in kinds
    )
