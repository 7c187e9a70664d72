"""What watching a run costs: each observer's milliseconds per slice, and what reading takes.

    python -m benchmarks.reporting                          # 20 trials of 1000 iterations
    python -m benchmarks.reporting --trials 200 --workers 40

The slices are simulated and told to the real observers, one kind after the other, each beside a
history of its own, whose cost is subtracted. Files go to a temporary folder. ``read`` is how long
TensorBoard's own reader takes for all that was written; ``refresh`` the time of one refresh of the
live view, 100 columns by 30 lines, which hrfs.reporting.console makes rare enough for a hundredth
of a core.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table
from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

from benchmarks.conditions import conditions
from hrfs.core.policies import make_policy
from hrfs.core.search_space import Hyperparameter, Uniform
from hrfs.experiment.observer import Observers, RunObserver
from hrfs.experiment.plan import Plan
from hrfs.experiment.records import SliceRecord, SliceStart, WorkerInfo
from hrfs.reporting import History, SliceCsv, TensorBoard, TrialsCsv
from hrfs.reporting.live import LiveView
from hrfs.simulator.driver import simulate
from hrfs.simulator.spec import SimulatedWorker, Workload

STOP, INTERVAL = 1000, 50
WIDTH, HEIGHT = 100, 30


def plan_of(trials: int) -> Plan:
    """A population like the paper's."""
    space = {
        name: Hyperparameter(Uniform(0.001, 1), Uniform(0.0001, 1)) for name in ("lr", "momentum")
    }
    return Plan(trials, STOP, INTERVAL, space, seeds=(0,), labels={"cluster": "simulated"})


def slices(plan: Plan, workers: int) -> tuple[list[WorkerInfo], list[SliceRecord]]:
    """Workers of which one in four is four times as fast, and what they do under ``hrfs``."""
    infos = [WorkerInfo(f"w{i}", "cpu" if i % 4 else "gpu", "box", 1) for i in range(workers)]
    simulated = tuple(
        SimulatedWorker(w.name, 0.1 if w.kind == "cpu" else 0.025, 0.1, w.kind) for w in infos
    )
    load = Workload(plan.trials, STOP, INTERVAL, simulated, duration_factors=(1.0, 1.1, 0.9))
    return infos, [_with_values(record, plan) for record in simulate(load, make_policy("hrfs"))]


def _with_values(record: SliceRecord, plan: Plan) -> SliceRecord:
    score = 1 - 1 / (1 + record.to_iteration / 100)
    return replace(
        record,
        score=score,
        metrics={"train/loss": 1 - score, "val/loss": 1.1 - score, "val/acc": score},
        hyperparameters=plan.initial_hyperparameters(record.trial),
    )


def told(records: Sequence[SliceRecord]) -> Iterator[tuple[float, Callable[[RunObserver], None]]]:
    """The run's events in the order of their times, which stand before them, in seconds."""
    starts = [(r.start_s, 1, r) for r in records]
    ends = [(r.end_s, 0, r) for r in records]
    for time_s, is_start, record in sorted(starts + ends, key=lambda e: (e[0], e[1], e[2].slice)):
        if is_start:
            yield time_s, partial(_start, record)
        else:
            yield time_s, partial(_end, record)


def _start(record: SliceRecord, observer: RunObserver) -> None:
    observer.on_slice_start(_started(record))


def _end(record: SliceRecord, observer: RunObserver) -> None:
    observer.on_slice(record)


def _started(record: SliceRecord) -> SliceStart:
    return SliceStart(
        slice=record.slice,
        trial=record.trial,
        worker=record.worker,
        start_s=record.start_s,
        from_iteration=record.from_iteration,
        iterations=record.iterations,
        reason=record.reason,
        hyperparameters=record.hyperparameters,
    )


def seconds(
    plan: Plan,
    infos: Sequence[WorkerInfo],
    records: Sequence[SliceRecord],
    make: Callable[[History], list[RunObserver]],
) -> float:
    """CPU seconds of telling the whole run to a history and to what ``make`` gives."""
    history = History()
    observer = Observers([history, *make(history)])
    events = list(told(records))
    begin_s = time.process_time()
    observer.on_start(plan, infos)
    for _, tell in events:
        tell(observer)
    observer.on_end(records[-1].end_s)
    return time.process_time() - begin_s


def read_s(folder: Path) -> float:
    """Seconds in which TensorBoard's reader loads every run below ``folder``."""
    begin_s = time.perf_counter()
    multiplexer = EventMultiplexer()
    multiplexer.AddRunsFromDirectory(str(folder))
    multiplexer.Reload()
    return time.perf_counter() - begin_s


def refresh_ms(
    plan: Plan, infos: Sequence[WorkerInfo], records: Sequence[SliceRecord]
) -> list[float]:
    """Milliseconds of the live view, every 20 events of the run."""
    history, page = History(), Console(width=WIDTH, height=HEIGHT, force_terminal=True)
    view, took_ms = LiveView(history), []
    history.on_start(plan, infos)
    for number, (now_s, tell) in enumerate(told(records)):
        tell(history)
        if number % 20 == 0:
            begin_s = time.process_time()
            with page.capture():
                page.print(view.render(now_s, WIDTH, HEIGHT))
            took_ms.append(1000 * (time.process_time() - begin_s))
    return took_ms


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="What watching a run costs.")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--workers", type=int, default=4)
    arguments = parser.parse_args()
    plan = plan_of(arguments.trials)
    infos, records = slices(plan, arguments.workers)
    print(conditions("tensorboard", "rich"))
    print(f"{plan.trials} trials, {arguments.workers} workers, {len(records)} slices")
    table = Table("observer", "ms per slice", "read (s)")
    base_s = seconds(plan, infos, records, lambda _: [])
    table.add_row("history alone", f"{1000 * base_s / len(records):.2f}", "")
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder)
        for name, make in _observers(out).items():
            cost_s = seconds(plan, infos, records, make) - base_s
            reading = f"{read_s(out / 'tensorboard'):.1f}" if name == "TensorBoard" else ""
            table.add_row(name, f"{1000 * cost_s / len(records):.2f}", reading)
    Console().print(table)
    took_ms = refresh_ms(plan, infos, records)
    print(f"refresh: median {statistics.median(took_ms):.0f} ms, longest {max(took_ms):.0f} ms")


def _observers(out: Path) -> dict[str, Callable[[History], list[RunObserver]]]:
    return {
        "slices.csv": lambda history: [SliceCsv(out / "slices.csv", history.warn)],
        "trials.csv": lambda history: [TrialsCsv(out / "trials.csv", history)],
        "TensorBoard": lambda history: [TensorBoard(out / "tensorboard", history)],
    }


if __name__ == "__main__":
    main()
