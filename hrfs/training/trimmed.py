"""Convolutions that leave out the parts of their kernel which touch no pixel.

An ImageNet network shrinks images of 32 x 32 to single pixels: of a 3 x 3 kernel on one pixel
with a border of zeros, eight parts of nine multiply zeros alone. Their gradients are zero too. What
is left out changes no result but for rounding, and took most of a ResNet-18's step on a CPU.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import conv2d

from hrfs.training.devices import CPU


class TrimmedConv2d(nn.Conv2d):
    """``torch.nn.Conv2d`` with zeros as its border, that computes only what can count.

    On a CPU: a GPU that trains on small images waits for its host, which would have more to do.
    """

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, in_channels, h, w) to (n, out_channels, h', w') as Conv2d has it."""
        if images.device != CPU:
            return super().forward(images)
        (top, bottom, above), (left, right, before) = (
            touching(images.shape[2 + axis], *self._along(axis)) for axis in (0, 1)
        )
        if (bottom - top, right - left) == self.kernel_size:
            return super().forward(images)
        weight = self.weight[:, :, top:bottom, left:right]
        border = above, before
        return conv2d(images, weight, self.bias, self.stride, border, self.dilation, self.groups)

    def _along(self, axis: int) -> tuple[int, int, int]:
        return self.kernel_size[axis], self.stride[axis], int(self.padding[axis])


def touching(size: int, kernel: int, stride: int, padding: int) -> tuple[int, int, int]:
    """Which parts of a kernel touch a pixel in at least one place, along one axis.

    Part ``i`` at output ``o`` lies on pixel ``o * stride - padding + i``.

    Args:
        size: pixels along the axis.

    Returns:
        The first part, the one behind the last, and the border that they then need; all parts and
        ``padding`` where a symmetric border would give another number of outputs.
    """
    outputs = (size + 2 * padding - kernel) // stride + 1
    first, last = max(0, padding - (outputs - 1) * stride), min(kernel, size + padding)
    border = padding - first
    same = (size + 2 * border - (last - first)) // stride + 1 == outputs
    return (first, last, border) if same and border >= 0 else (0, kernel, padding)


def trim(network: nn.Module) -> nn.Module:
    """Put a :class:`TrimmedConv2d` in the place of each convolution of ``network`` that may be one.

    Weights and their names stay, and no random number is drawn.
    """
    for part in network.modules():
        if type(part) is nn.Conv2d and _may_be_trimmed(part):
            part.__class__ = TrimmedConv2d
    return network


def _may_be_trimmed(part: nn.Conv2d) -> bool:
    plain = part.padding_mode == "zeros" and not isinstance(part.padding, str)
    return plain and part.dilation == (1, 1) and part.kernel_size != (1, 1)
