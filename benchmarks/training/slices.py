"""The slice runner of hrfs, as a worker's process uses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.training.case import CHANNELS, CLASSES, IMAGE_SIZE, LEARNING, Case, now_s
from benchmarks.training.rate import flops_per_image, matrix_rate
from hrfs.core.populations import Populations
from hrfs.experiment.slices import SliceRequest
from hrfs.training.datamodules import build_data
from hrfs.training.loaders import Batches
from hrfs.training.runner import build
from hrfs.training.settings import RunnerSettings

HELD_OUT = 0.1
EVALUATED_PER_TRAINED = 5_000 / (50 * 512)
"""Images of an evaluation per image of a slice, in the paper's slices."""


def settings(case: Case, iterations: int) -> dict[str, Any]:
    """As the command line would hand them to a worker."""
    stem = {} if case.stem is None else {"stem": case.stem}
    evaluated = round(EVALUATED_PER_TRAINED * case.batch * iterations)
    return {
        "model": {
            "_target_": "hrfs.training.module.ImageClassifier",
            "network": case.network, "num_classes": CLASSES, "channels": CHANNELS, **stem,
        },
        "dataset": {
            "_target_": "hrfs.training.data.ImageData", "name": "synthetic",
            "samples": case.samples, "num_classes": CLASSES, "channels": CHANNELS,
            "image_size": IMAGE_SIZE, "batch_size": case.batch, "augment": True,
            "validation_fraction": HELD_OUT,
        },
        "trainer": {
            "precision": "auto" if case.reduced_precision else "32-true",
            "compile": "auto" if case.compiled else False,
            "validation_samples": max(1, evaluated),
        },
        "seed": 0,
    }  # fmt: skip


class Slices:
    """Slice after slice of one trial, which stays."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._runner: Any = None
        self._iterations = self._done = 0
        self.told = ""
        self._rate_flops = self._image_flops = 0.0

    def round(self, iterations: int) -> Mapping[str, float]:
        """See :class:`~benchmarks.training.case.Way`.

        Beside it ``evaluated_images_per_s``, the share ``loading`` and the share ``matmul``.
        """
        if iterations != self._iterations:
            self._prepare(iterations)
        device, images = self._case.device, iterations * self._case.batch
        start_s = now_s(device)
        result = self._runner.run(self._request(iterations))
        run_s = now_s(device) - start_s
        speed = images / (run_s - result.evaluate_s)
        return {
            "images_per_s": speed,
            "evaluated_images_per_s": images / run_s,
            "loading": self._loading_s(iterations) / run_s,
            "matmul": speed * self._image_flops / self._rate_flops,
        }

    def _prepare(self, iterations: int) -> None:
        """A runner whose evaluation is in proportion, warmed up by a slice of one step."""
        case, plain = self._case, settings(self._case, iterations)
        self._runner, self._iterations, self._done = build(plain), iterations, 0
        self._runner.begin(0)
        chosen = self._runner.run(self._request(1)).facts["trainer"]
        data = build_data(RunnerSettings.from_plain(plain))
        loaders = data.train_dataloader(), data.val_dataloader()
        self._batches = Batches(*loaders, Populations((0,)), chosen["channels_last"])
        if not self.told:
            compiled = f", compile {chosen['compile']}" if chosen["compile"] else ""
            self.told = f"{chosen['precision']}{compiled}"
            self._rate_flops = matrix_rate(case.device, chosen["precision"])
            self._image_flops = flops_per_image(case)

    def _request(self, iterations: int) -> SliceRequest:
        start, self._done = self._done, self._done + iterations
        return SliceRequest(0, 0, start, iterations, self._case.worker, LEARNING)

    def _loading_s(self, iterations: int) -> float:
        """Seconds in which the loader alone makes as many batches."""
        device = self._case.device
        start_s = now_s(device)
        for _ in self._batches.for_slice(0, self._done, iterations, device):
            pass
        return now_s(device) - start_s
