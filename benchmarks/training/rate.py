"""How fast the device multiplies matrices, and how much of that an image takes."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.training.case import CHANNELS, IMAGE_SIZE, Case, now_s

SIZE = {"cpu": 2048, "cuda": 8192}
"""Rows and columns of the matrices."""
FORMATS = {"bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


def matrix_rate(device: torch.device, precision: str) -> float:
    """Multiplications and additions per second of a matrix product; the best of five."""
    size, dtype = SIZE[device.type], FORMATS.get(precision, torch.float32)
    left = torch.randn(size, size, device=device).to(dtype)
    right = torch.randn(size, size, device=device).to(dtype)
    left @ right
    seconds = []
    for _ in range(5):
        start_s = now_s(device)
        left @ right
        seconds.append(now_s(device) - start_s)
    return 2 * size**3 / min(seconds)


def flops_per_image(case: Case) -> float:
    """Multiplications and additions of one training step, per image."""
    network, device = case.make_network().to(case.device), case.device
    images = torch.randn(2, CHANNELS, IMAGE_SIZE, IMAGE_SIZE, device=device)
    labels = torch.tensor([0, 1], device=device)
    with FlopCounterMode(display=False) as counter:
        nn.functional.cross_entropy(network(images), labels).backward()
    return counter.get_total_flops() / len(images)
