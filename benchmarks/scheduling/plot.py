"""The results as one picture: how many runs end within so many times the optimum."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.scheduling.measure import GOLDEN, Result

COLUMNS = 3
FARTHEST = 4.0
"""The axis ends here; runs beyond it are above the last step of their curve."""


def plot(results: Sequence[Result], path: Path) -> None:
    """Draw a panel per suite with a curve per policy, and write it to ``path``."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import FixedLocator, NullLocator, PercentFormatter

    seeded = [result for result in results if result.case.suite != GOLDEN]
    suites = list(dict.fromkeys(result.case.suite for result in seeded))
    policies = list(dict.fromkeys(result.case.policy for result in seeded))
    rows = -(-len(suites) // COLUMNS)
    figure = Figure(figsize=(4 * min(COLUMNS, len(suites)), 3 * rows), layout="constrained")
    panels = figure.subplots(rows, min(COLUMNS, len(suites)), squeeze=False, sharey=True).flat
    for panel, suite in zip(panels, suites, strict=False):
        for policy in policies:
            case = suite, policy
            ratios = sorted(r.ratio for r in seeded if (r.case.suite, r.case.policy) == case)
            shares = np.arange(1, len(ratios) + 1) / len(ratios)
            panel.step(ratios, shares, where="post", label=policy)
        panel.set(title=suite, xscale="log", xlim=(0.98, FARTHEST), ylim=(0, 1.02))
        panel.xaxis.set_major_locator(FixedLocator([1, 1.1, 1.25, 1.5, 2, 3, 4]))
        panel.xaxis.set_minor_locator(NullLocator())
        panel.xaxis.set_major_formatter("{x:g}")
        panel.yaxis.set_major_formatter(PercentFormatter(1.0))
        panel.grid(alpha=0.3)
    for panel in list(panels):
        panel.set_axis_off()
    figure.axes[0].legend(fontsize="small")
    figure.supxlabel("makespan / C*, at most")
    figure.supylabel("share of the clusters")
    figure.savefig(path, dpi=150)
