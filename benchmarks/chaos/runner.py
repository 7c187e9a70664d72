"""A small network on digits in numpy: training that is real, and a process that starts soon.

It keeps the contract of :class:`hrfs.experiment.slices.SliceRunner` and writes its state as
the normal runner does. With torch and Lightning a killed process would be back after 8 s of a
core's time, and most kills would meet a process that is only starting. It leaves a byte on the
disk for each optimizer step, so that lost steps can be counted, and kills its process at
its start or in the middle of a save or a load if it finds the order to do so.
"""

from __future__ import annotations

import importlib.util
import os
import signal
import time
from collections.abc import Mapping
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load, save

from benchmarks.chaos.settings import NODE, SLOWNESS, Notes
from hrfs.experiment.checkpoint import CheckpointSink, read_checkpoint, stream_checkpoint
from hrfs.experiment.files import write_atomically
from hrfs.experiment.records import WorkerInfo
from hrfs.experiment.slices import SliceRequest, SliceResult

Arrays = dict[str, np.ndarray]
PIXELS, CLASSES = 64, 10
TRAIN, HELD_OUT = slice(0, 1200), slice(1200, 1500)
TEST = slice(1500, 1797)


def build(settings: Mapping[str, Any]) -> PacedMlp:
    """A :data:`~hrfs.experiment.slices.RunnerFactory`."""
    model = settings["model"]
    return PacedMlp(settings["seed"], settings["dataset"]["batch_size"], **_arguments(model))


def evaluate_winner(
    settings: Mapping[str, Any], state: Path, worker: WorkerInfo, export_to: Path
) -> Mapping[str, float]:
    """Accuracy on the test images; the winner's state is exported as it is, on any worker."""
    del worker
    winner = build(settings)
    winner.load(state)
    write_atomically(export_to, state.read_bytes())
    return {"test/acc": winner.accuracy(TEST)}


def _arguments(model: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in model.items() if name != "_target_"}


class PacedMlp:
    """Two layers, cross-entropy, SGD with momentum; which batches come depends on seed,
    trial and iteration alone.

    Args:
        seed: of the population.
        batch: images of an iteration.
        notes: folder in which it counts its steps and finds its orders.
        pace_s: least seconds of an iteration on a node of slowness 1.
        hidden: units of the hidden layer.
    """

    def __init__(self, seed: int, batch: int, notes: str, pace_s: float, hidden: int = 256) -> None:
        self._seed = seed
        self._batch = batch
        self._notes = Notes(Path(notes))
        self._obey("start")
        self._pace_s = pace_s * float(os.environ.get(SLOWNESS, "1"))
        self._hidden = hidden
        self._state: Arrays = {}

    @cached_property
    def _digits(self) -> tuple[np.ndarray, np.ndarray]:
        """Images (1797, 64) in [0, 1] and labels (1797,), from scikit-learn's own file."""
        spec = importlib.util.find_spec("sklearn")  # its import would take a second
        assert spec is not None
        assert spec.origin is not None
        table = np.loadtxt(
            Path(spec.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=","
        )
        mixed = np.random.default_rng(0).permutation(table)
        return mixed[:, :PIXELS] / 16, mixed[:, PIXELS].astype(int)

    def begin(self, trial: int) -> None:
        """Fresh weights."""
        draw = np.random.default_rng([self._seed, trial])
        weights = {
            "w1": draw.normal(0, PIXELS**-0.5, (PIXELS, self._hidden)),
            "b1": np.zeros(self._hidden),
            "w2": draw.normal(0, self._hidden**-0.5, (self._hidden, CLASSES)),
            "b2": np.zeros(CLASSES),
        }
        speeds = {f"speed/{name}": np.zeros_like(value) for name, value in weights.items()}
        self._state = {**weights, **speeds, "iteration": np.array(0)}

    def load(self, file: Path) -> None:
        """Inverse of :meth:`save`.

        Raises:
            CheckpointError: the file is damaged.
        """
        payload = read_checkpoint(file)
        self._obey("load")
        self._state = load(bytes(payload))

    def save(self, file: Path) -> None:
        """One file, with a checksum, atomically."""
        stream_checkpoint(file, partial(self._write, save(self._state)))

    def _write(self, packed: bytes, sink: CheckpointSink) -> None:
        half = len(packed) // 2
        sink.write(packed[:half])
        self._obey("save")
        sink.write(packed[half:])

    def _obey(self, what: str) -> None:
        """Die if that is the order; of several processes one takes it."""
        order = self._notes.order(what)
        if not order.exists():
            return
        try:
            order.rename(self._notes.obeyed(what, os.environ[NODE]))
        except FileNotFoundError:
            return  # another one has taken it
        os.kill(os.getpid(), signal.SIGKILL)

    def run(self, request: SliceRequest) -> SliceResult:
        """Train and evaluate."""
        begin_s = time.perf_counter()
        for done in range(request.iterations):
            self._step(request.trial, request.from_iteration + done, request.hyperparameters)
        self._state["iteration"] = np.array(request.from_iteration + request.iterations)
        train_s = time.perf_counter() - begin_s
        metrics = {"val/acc": self.accuracy(HELD_OUT)}
        evaluate_s = time.perf_counter() - begin_s - train_s
        return SliceResult(metrics, train_s=train_s, evaluate_s=evaluate_s)

    def _step(self, trial: int, iteration: int, chosen: Mapping[str, Any]) -> None:
        begin_s, state = time.monotonic(), self._state
        images, labels = self._digits
        draw = np.random.default_rng([self._seed, trial, iteration])
        batch = draw.integers(TRAIN.stop, size=self._batch)
        hidden, logits = self._forward(images[batch])
        error = np.exp(logits - logits.max(1, keepdims=True))
        error /= error.sum(1, keepdims=True)
        error[np.arange(len(batch)), labels[batch]] -= 1
        error /= len(batch)
        below = (error @ state["w2"].T) * (hidden > 0)
        slopes = {
            "w1": images[batch].T @ below,
            "b1": below.sum(0),
            "w2": hidden.T @ error,
            "b2": error.sum(0),
        }
        for name, slope in slopes.items():
            speed = f"speed/{name}"
            state[speed] = chosen["momentum"] * state[speed] + slope
            state[name] = state[name] - chosen["lr"] * state[speed]
        time.sleep(max(0.0, self._pace_s - (time.monotonic() - begin_s)))
        self._notes.count_step()

    def _forward(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hidden units N x H and logits N x 10 of images N x 64."""
        hidden = np.maximum(images @ self._state["w1"] + self._state["b1"], 0)
        return hidden, hidden @ self._state["w2"] + self._state["b2"]

    def accuracy(self, which: slice) -> float:
        """Share of these images that it tells."""
        images, labels = (part[which] for part in self._digits)
        _, logits = self._forward(images)
        return float((logits.argmax(1) == labels).mean())


def iteration_of(file: Path) -> int:
    """At which iteration a saved state is.

    Raises:
        CheckpointError: the file is damaged.
    """
    return int(load(bytes(read_checkpoint(file)))["iteration"])
