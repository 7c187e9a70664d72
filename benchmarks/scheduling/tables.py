"""The results as tables: policies against suites, and policies against golden specs."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from benchmarks.scheduling.measure import GOLDEN, Figures, Result


def suites_table(results: Sequence[Result]) -> Table | None:
    """Four figures per policy and suite; None if only golden specs were run."""
    groups: dict[tuple[str, str], list[Result]] = {}
    for result in results:
        if result.case.suite != GOLDEN:
            groups.setdefault((result.case.suite, result.case.policy), []).append(result)
    if not groups:
        return None
    table = Table(title="makespan / C*, and mean spread in iterations")
    for column in ("suite", "policy"):
        table.add_column(column, no_wrap=True)
    for column in ("runs", "median", "p90", "worst", "mean spread"):
        table.add_column(column, justify="right")
    shown = ""
    for (suite, policy), group in groups.items():
        if shown not in ("", suite):
            table.add_section()
        figures = Figures.of(group)
        ratios = (f"{value:.3f}" for value in (figures.median, figures.p90, figures.worst))
        name = suite if suite != shown else ""
        table.add_row(name, policy, str(len(group)), *ratios, f"{figures.mean_spread:.0f}")
        shown = suite
    return table


def golden_table(results: Sequence[Result]) -> Table | None:
    """Makespan / C* of every policy on every golden spec; None if none was run."""
    ratios = {
        (str(result.case.spec), result.case.policy): result.ratio
        for result in results
        if result.case.suite == GOLDEN
    }
    if not ratios:
        return None
    policies = list(dict.fromkeys(policy for _, policy in ratios))
    table = Table(title="makespan / C* on the golden specs")
    table.add_column("spec", no_wrap=True)
    for policy in policies:
        table.add_column(policy, justify="right")
    for spec in dict.fromkeys(spec for spec, _ in ratios):
        table.add_row(spec, *(f"{ratios[spec, policy]:.3f}" for policy in policies))
    return table
