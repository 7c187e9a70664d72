"""Turning a batch of stored images into what a network sees; all of the batch at once.

What is random is drawn from torch's global generator on the CPU, so that a batch is the same bit
by bit on all devices.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from hrfs.training.devices import to_device

PADDING = 4
"""Pixels of black around an image before the random crop (He et al. 2016, section 4.2)."""


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What is done to the stored images of a batch."""

    crop_and_flip: bool = False
    cutout: int = 0
    """Side of the square in pixels; 0: none."""

    def apply(self, images: Tensor) -> Tensor:
        """Bytes, shape (batch, height, width, channels), to new floats in [-1, 1]."""
        if self.crop_and_flip:
            images = crop_and_flip(images)
        floats = normalise(images)
        return cutout(floats, self.cutout) if self.cutout else floats


def normalise(images: Tensor) -> Tensor:
    """Bytes 0 to 255 as floats in [-1, 1], as in the paper: x / 127.5 - 1. Any shape."""
    return images.to(torch.float32).mul_(1 / 127.5).sub_(1.0)


def crop_and_flip(images: Tensor, padding: int = PADDING) -> Tensor:
    """Shift each image by up to ``padding`` pixels both ways, and mirror half of them.

    What is shifted in is black (0).

    Args:
        images: shape (batch, height, width, channels), any type, on any device.

    Returns:
        New images of the same shape.
    """
    batch, height, width, channels = images.shape
    high, row = height + 2 * padding, (width + 2 * padding) * channels
    padded = images.new_zeros((batch, high, width + 2 * padding, channels))
    padded[:, padding : padding + height, padding : padding + width] = images
    shifts = torch.randint(0, 2 * padding + 1, (2, batch, 1))
    mirrored = (torch.rand(batch, 1) < 0.5)[:, 0].nonzero()[:, 0]  # found on the CPU: no waiting
    device = images.device
    top, left = to_device(shifts[:, :, 0], device).unbind()
    # All windows of each picture as a view, of which one is copied row by row: thrice as fast on
    # a CPU as an index for each pixel.
    windows = padded.as_strided(
        (batch, 2 * padding + 1, 2 * padding + 1, height, width * channels),
        (high * row, row, channels, row, 1),
    )
    chosen = windows[torch.arange(batch, device=device), top, left]
    pictures = chosen.view(batch, height, width, channels)
    mirrored = to_device(mirrored, device)
    pictures[mirrored] = pictures[mirrored].flip(2)
    return pictures


def cutout(images: Tensor, side: int) -> Tensor:
    """Blot out a square of each image, in place (DeVries and Taylor 2017, section 3.2).

    Its centre lies anywhere in the image, so the square may reach over the edge. It becomes 0,
    which is the middle of the range of :func:`normalise`.

    Args:
        images: normalised, shape (batch, height, width, channels), on any device.
        side: of the square, in pixels, at least 1.

    Returns:
        ``images``.
    """
    batch, height, width, _ = images.shape
    centres = torch.cat([torch.randint(0, size, (1, batch, 1)) for size in (height, width)])
    first = to_device(centres, images.device) - side // 2
    within = torch.arange(side, device=images.device)
    # What reaches over an edge is moved onto it: the pixels there belong to the square as well.
    rows = (first[0] + within).clamp_(0, height - 1)
    columns = (first[1] + within).clamp_(0, width - 1)
    picture = torch.arange(batch, device=images.device)[:, None, None]
    images[picture, rows[:, :, None], columns[:, None, :]] = 0.0
    return images
