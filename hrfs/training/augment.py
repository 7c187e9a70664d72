"""Turning a batch of stored images into what a network sees; all of the batch at once."""

from __future__ import annotations

import torch
from torch import Tensor

from hrfs.training.devices import to_device

PADDING = 4
"""Pixels of black around an image before the random crop (He et al. 2016, section 4.2)."""


def normalise(images: Tensor) -> Tensor:
    """Bytes 0 to 255 as floats in [-1, 1], as in the paper: x / 127.5 - 1. Any shape."""
    return images.to(torch.float32).mul_(1 / 127.5).sub_(1.0)


def crop_and_flip(images: Tensor, padding: int = PADDING) -> Tensor:
    """Shift each image by up to ``padding`` pixels both ways, and mirror half of them.

    Draws from torch's global generator on the CPU, so that a batch is the same on all devices.
    What is shifted in is black (0).

    Args:
        images: shape (batch, height, width, channels), any type, on any device.

    Returns:
        New images of the same shape.
    """
    batch, height, width, channels = images.shape
    padded = images.new_zeros((batch, height + 2 * padding, width + 2 * padding, channels))
    padded[:, padding : padding + height, padding : padding + width] = images
    device = images.device
    shifts = torch.randint(0, 2 * padding + 1, (2, batch, 1))
    mirrored = to_device(torch.rand(batch, 1) < 0.5, device)
    top, left = to_device(shifts, device).unbind()
    rows = top + torch.arange(height, device=device)
    columns = left + torch.arange(width, device=device)
    columns = torch.where(mirrored, columns.flip(1), columns)
    picture = torch.arange(batch, device=device)[:, None, None]
    return padded[picture, rows[:, :, None], columns[:, None, :]]
