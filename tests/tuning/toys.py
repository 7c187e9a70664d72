"""Trainables without torch, for tests of the adapter; imported by workers' processes."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import ray

from hrfs.experiment.checkpoint import CheckpointError, read_checkpoint, write_checkpoint
from hrfs.experiment.files import write_atomically
from hrfs.experiment.records import WorkerInfo
from hrfs.experiment.slices import SliceRequest, SliceResult
from hrfs.tuning.trainable import STATE_FILE, SliceTrainable


class Counter(SliceTrainable):
    """Counts iterations and adds up its learning rate; its state tells its whole history.

    ``config["seconds"]`` is the time of an iteration, ``config["fault"]`` a mapping of what is
    to go wrong, each fault once per marker file in ``config["markers"]``. A process takes
    ``config["build_s"]`` seconds to build what it needs, at its first trial.
    """

    built = False

    def begin(self, trial: int) -> None:
        """Fresh."""
        if not self.built:
            time.sleep(self.config.get("build_s", 0.0))
            self.built = True
        self.history: list[list[Any]] = []
        self.value = 0.0

    def train_slice(self, request: SliceRequest) -> Mapping[str, Any]:
        """Do the slice, with the fault that is asked for."""
        self._maybe_fail(request)
        time.sleep(request.iterations * self.config.get("seconds", 0.0))
        lr = self.config["lr"]
        self.value += lr * request.iterations
        self.history.append([request.trial, request.from_iteration, request.iterations, lr])
        score = self.value
        if self.config.get("nan_trial") == request.trial:
            score = math.nan
        return {
            "score": score,
            "pid_of": os.getpid(),
            "on_node": float(ray.get_runtime_context().get_node_id() == request_node(request)),
        }

    def save_state(self, folder: Path) -> None:
        """One JSON file."""
        state = {"history": self.history, "value": self.value}
        (folder / "state.json").write_text(json.dumps(state))

    def load_state(self, folder: Path) -> None:
        """Inverse of ``save_state``."""
        state = json.loads((folder / "state.json").read_text())
        self.history, self.value = state["history"], state["value"]

    def _maybe_fail(self, request: SliceRequest) -> None:
        fault = self.config.get("fault", {})
        if request.trial not in fault.get("trials", []):
            return
        if request.from_iteration < fault.get("from_iteration", 0):
            return
        marker = Path(fault["markers"]) / f"{request.trial}"
        if marker.exists() and not fault.get("always"):
            return
        marker.write_text("done")
        if fault["kind"] == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        raise RuntimeError("planted failure")


def request_node(request: SliceRequest) -> str:
    """Ray's id of the node that the worker's name speaks of."""
    wanted = request.worker.node
    for node in ray.nodes():
        if node["Alive"] and node.get("Labels", {}).get("hrfs-node") == wanted:
            return str(node["NodeID"])
    return "no such node"


class Adder:
    """A :class:`SliceRunner` that adds up its learning rate."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.value = 0.0

    def begin(self, trial: int) -> None:
        """Nothing yet."""
        self.value = 0.0

    def load(self, file: Path) -> None:
        """Inverse of ``save``."""
        self.value = float(file.read_text())

    def run(self, request: SliceRequest) -> SliceResult:
        """Add."""
        train_s = request.iterations * self.seconds
        time.sleep(train_s)
        self.value += request.iterations * request.hyperparameters["lr"]
        return SliceResult({"score": self.value}, train_s=train_s, evaluate_s=0.0)

    def save(self, file: Path) -> None:
        """One number."""
        write_atomically(file, repr(self.value))


def build_adder(settings: Mapping[str, Any]) -> Adder:
    """A runner factory."""
    return Adder(settings["seconds"])


def final_adder(
    settings: Mapping[str, Any], state: Path, worker: WorkerInfo, export_to: Path
) -> Mapping[str, float]:
    """The winner's test."""
    value = float(state.read_text())
    write_atomically(export_to, repr(value))
    return {"test/score": value}


def final_or_fault(
    settings: Mapping[str, Any], state: Path, worker: WorkerInfo, export_to: Path
) -> Mapping[str, float]:
    """Fails on the winner of the seed ``settings["untestable"]``."""
    if export_to.stem.endswith(f"seed{settings['untestable']}"):
        raise RuntimeError(f"planted fault of seed{settings['untestable']}")
    return final_adder(settings, state, worker, export_to)


class Throttled(Counter):
    """Takes ``config["seconds_on"][worker]`` for an iteration there, and evaluates."""

    def train_slice(self, request: SliceRequest) -> Mapping[str, Any]:
        """As on any worker, but at the worker's own pace."""
        begin_s = time.perf_counter()
        time.sleep(request.iterations * self.config["seconds_on"][request.worker.name])
        train_s = time.perf_counter() - begin_s
        time.sleep(self.config["evaluate_s"])
        evaluate_s = time.perf_counter() - begin_s - train_s
        return {**super().train_slice(request), "train_s": train_s, "evaluate_s": evaluate_s}


class Sealed(Counter):
    """Keeps its state in a checkpoint that tells damage, loads it for each slice, and damages it.

    ``config["damage"]``: ``kind`` (of :data:`DAMAGES`, or ``complaint``: the file is sound, but
    cannot be loaded once), the ``trial``, the ``iteration`` from which on, ``both`` if the older
    one is to go as well, and the folder for ``markers``. With ``exploit`` it is the copy of
    another trial's state that is damaged, just before it is loaded, and not the donor's own, with
    which it may share the disk's blocks.
    """

    def train_slice(self, request: SliceRequest) -> Mapping[str, Any]:
        """As ever, noting what is trained."""
        self.at = request.trial, request.from_iteration + request.iterations
        return super().train_slice(request)

    def save_state(self, folder: Path) -> None:
        """One file, sound or not."""
        state = {"history": self.history, "value": self.value}
        write_checkpoint(folder / STATE_FILE, json.dumps(state).encode())
        damage = self.config["damage"]
        wanted = damage.get("trial") == self.at[0] and self.at[1] >= damage.get("iteration", 0)
        if wanted and damage["kind"] in DAMAGES and self._first_time():
            DAMAGES[damage["kind"]](folder)
            if damage.get("both"):
                older = sorted(folder.parent.glob("checkpoint_0*"))[-2]
                DAMAGES[damage["kind"]](older)

    def load_state(self, folder: Path) -> None:
        """Inverse of ``save_state``, as far as it is left."""
        damage = self.config["damage"]
        if damage.get("exploit") and "exploit" in folder.name and self._first_time():
            content = (folder / STATE_FILE).read_bytes()
            (folder / STATE_FILE).unlink()
            (folder / STATE_FILE).write_bytes(content)
            DAMAGES[damage["kind"]](folder)
        state = json.loads(bytes(read_checkpoint(folder / STATE_FILE)))
        if damage["kind"] == "complaint" and self._first_time():
            raise CheckpointError(folder / STATE_FILE, "my eyes", "no glasses")
        self.history, self.value = state["history"], state["value"]

    def step(self) -> dict[str, Any]:
        """Forgets its state afterwards, as if each slice ran in another process."""
        result = super().step()
        self._held = None
        return result

    def _first_time(self) -> bool:
        marker = Path(self.config["damage"]["markers"]) / "damaged"
        if marker.exists():
            return False
        marker.touch()
        return True


def _flip(folder: Path) -> None:
    content = bytearray((folder / STATE_FILE).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / STATE_FILE).write_bytes(content)


def _truncate(folder: Path) -> None:
    os.truncate(folder / STATE_FILE, (folder / STATE_FILE).stat().st_size // 2)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "flip": _flip,
    "truncate": _truncate,
    "delete folder": shutil.rmtree,
}
