"""The timeline of a run that has ended, as an image for TensorBoard."""

from __future__ import annotations

import time
from pathlib import Path

from hrfs.experiment.errors import ConfigError
from hrfs.reporting.durable import WriteGuard
from hrfs.reporting.event_file import EventFile
from hrfs.reporting.history import History
from hrfs.reporting.tensorboard import EXPERIMENT

TAG = "timeline"


def write_timeline(out_dir: Path, tensorboard: Path, history: History) -> None:
    """Draw the slices that ``out_dir`` holds, into the run ``experiment`` below ``tensorboard``.

    Nothing is drawn of a run without a slice. What cannot be read or written is a warning.
    """
    # They import matplotlib, which a run needs no sooner than at its end.
    from hrfs.reporting.report.charts_time import timeline
    from hrfs.reporting.report.lineage import Lineages
    from hrfs.reporting.report.reading import read_run
    from hrfs.reporting.report.to_matplotlib import draw

    try:
        run = read_run(out_dir)
    except (ConfigError, OSError) as error:
        history.warn(f"TensorBoard gets no timeline: {error}")
        return
    chart = timeline(run, Lineages(run.records))
    if chart is None:
        return
    png = draw(chart)["png"]

    def write() -> None:
        file = EventFile(tensorboard / EXPERIMENT)
        file.image(TAG, png, history.iterations, time.time())
        file.flush()

    WriteGuard(tensorboard, history.warn).attempt(write)
