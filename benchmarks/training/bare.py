"""A bare loop with everything right: what a framework can be held to."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from benchmarks.training.case import LEARNING, WEIGHT_DECAY, Case, now_s, random_images
from hrfs.training.heap import Heap

PADDING = 4
TRIAL_STEPS, TRIAL_S = 3, 5.0
"""Timed steps of each thing that is tried: so many, or one after so many seconds."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How the loop computes."""

    bf16: bool = False
    fused: bool = False
    compile_mode: str | None = None

    def __str__(self) -> str:
        parts = ["bf16" if self.bf16 else "32 bit", "fused" if self.fused else ""]
        parts.append(f"compile {self.compile_mode}" if self.compile_mode else "")
        return ", ".join(filter(None, parts))


def changes(case: Case) -> Iterator[Mapping[str, Any]]:
    """What is tried, one after another, upon the best so far."""
    yield {"fused": True}
    if case.reduced_precision and (case.on_gpu or computes_bf16()):
        yield {"bf16": True}
    if case.compiled:
        yield {"compile_mode": "default"}
        if case.on_gpu:
            yield {"compile_mode": "reduce-overhead"}  # CUDA graphs


def computes_bf16() -> bool:
    """Whether the CPU has instructions for it; else a step takes several times as long."""
    return torch.backends.cpu.get_cpu_capability() != "AVX2"


class Bare:
    """One epoch after another over images that lie on the device as bytes."""

    def __init__(self, case: Case) -> None:
        self._case = case
        if not case.on_gpu:
            Heap().keep_freed()
        images, labels = random_images(case.samples)
        self._images, self._labels = images.to(case.device), labels.to(case.device)
        self._order = self._batches()
        recipe = Recipe()
        self._step = self._make(recipe)
        best_s = self._time(self._step)
        for change in changes(case):
            tried = replace(recipe, **change)
            step = self._make(tried)
            step_s = self._time(step)
            if step_s < best_s:
                recipe, best_s, self._step = tried, step_s, step
        self.told = str(recipe)

    def round(self, iterations: int) -> Mapping[str, float]:
        """See :class:`~benchmarks.training.case.Way`."""
        start_s = now_s(self._case.device)
        for _ in range(iterations):
            self._step()
        seconds = now_s(self._case.device) - start_s
        return {"images_per_s": iterations * self._case.batch / seconds}

    def _time(self, step: Callable[[], None]) -> float:
        """Least seconds of a step, after one that warms up (or compiles)."""
        device = self._case.device
        step()
        marks = [now_s(device)]
        while len(marks) <= TRIAL_STEPS and marks[-1] - marks[0] < TRIAL_S:
            step()
            marks.append(now_s(device))
        return min(after - before for before, after in itertools.pairwise(marks))

    def _make(self, recipe: Recipe) -> Callable[[], None]:
        case = self._case
        network = case.make_network()
        network.to(case.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        optimizer = torch.optim.SGD(
            network.parameters(), **LEARNING, weight_decay=WEIGHT_DECAY, fused=recipe.fused or None
        )

        def loss_of(images: Tensor, labels: Tensor) -> Tensor:
            return nn.functional.cross_entropy(network(images), labels)

        if recipe.compile_mode is not None:
            loss_of = torch.compile(loss_of, mode=recipe.compile_mode)

        def step() -> None:
            chosen = next(self._order)
            images = augmented(self._images[chosen])
            optimizer.zero_grad()
            autocast = torch.autocast(case.device.type, torch.bfloat16)
            with autocast if recipe.bf16 else nullcontext():
                loss = loss_of(images, self._labels[chosen])
            loss.backward()
            optimizer.step()

        return step

    def _batches(self) -> Iterator[Tensor]:
        while True:
            order = torch.randperm(len(self._images), device=self._case.device)
            whole = len(order) // self._case.batch * self._case.batch
            yield from order[:whole].split(self._case.batch)


def augmented(images: Tensor) -> Tensor:
    """Bytes (n, h, w, channels) as floats (n, channels, h, w) in [-1, 1], shifted and mirrored."""
    count, height, width, _ = images.shape
    device = images.device
    padded = nn.functional.pad(images, (0, 0, PADDING, PADDING, PADDING, PADDING))
    shifts = torch.randint(0, 2 * PADDING + 1, (2, count, 1), device=device)
    rows = shifts[0] + torch.arange(height, device=device)
    columns = shifts[1] + torch.arange(width, device=device)
    mirrored = torch.rand(count, 1, device=device) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    picture = torch.arange(count, device=device)[:, None, None]
    cropped = padded[picture, rows[:, :, None], columns[:, None, :]]
    return cropped.to(torch.float32).mul_(1 / 127.5).sub_(1.0).permute(0, 3, 1, 2)
