"""Networks by name: torchvision's ResNets with a choice of stem, and a small residual net."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from hrfs.experiment.errors import ConfigError
from hrfs.training.settings import require_at_least
from hrfs.training.trimmed import trim

Stem = Literal["imagenet", "cifar"]
SMALL_WIDTH = 16


def build_network(
    name: str,
    num_classes: int,
    channels: int,
    stem: Stem | None = None,
    width: int | None = None,
    stem_stride: int | None = None,
) -> nn.Module:
    """A network with random weights: images (n, channels, h, w) to scores (n, num_classes).

    Args:
        name: one of :data:`NETWORKS`.
        stem: for the ResNets: ``imagenet`` is torchvision's 7 x 7 convolution with stride 2
            and max-pooling (what the paper ran); ``cifar`` a 3 x 3 one with stride 1 and no
            pooling, which published CIFAR figures use. None means ``imagenet``. Kernels are
            trimmed where images have shrunk to a few pixels (:mod:`hrfs.training.trimmed`).
        width: for ``small_resnet``: channels of its first stage. None means 16.
        stem_stride: for ``small_resnet``: pixels from one place of the first convolution to the
            next. 2 leaves a quarter of the places, and of the work. None means 1.

    Raises:
        ConfigError: no such network, or an option that is not for it.
    """
    if name not in NETWORKS:
        raise ConfigError("model.network", name, f"must be one of {', '.join(NETWORKS)}")
    if name == "small_resnet":
        if stem is not None:
            raise ConfigError("model.stem", stem, "is for resnet18 and resnet50 alone")
        width = SMALL_WIDTH if width is None else width
        stem_stride = 1 if stem_stride is None else stem_stride
        require_at_least("model.stem_stride", stem_stride, 1)
        return SmallResNet(num_classes, channels, width, stem_stride)
    for key, value in (("width", width), ("stem_stride", stem_stride)):
        if value is not None:
            raise ConfigError(f"model.{key}", value, "is for small_resnet alone")
    return _torchvision_resnet(name, num_classes, channels, "imagenet" if stem is None else stem)


def _torchvision_resnet(name: str, num_classes: int, channels: int, stem: Stem) -> nn.Module:
    if stem not in ("imagenet", "cifar"):
        raise ConfigError("model.stem", stem, "must be imagenet or cifar")
    from torchvision import models  # takes seconds, and the demo does without

    makers: dict[str, Callable[..., nn.Module]] = {
        "resnet18": models.resnet18,
        "resnet50": models.resnet50,
    }
    network = makers[name](weights=None, num_classes=num_classes)
    if stem == "cifar":
        network.conv1 = _first_convolution(channels, kernel_size=3, stride=1)
        network.maxpool = nn.Identity()
    elif channels != 3:
        network.conv1 = _first_convolution(channels, kernel_size=7, stride=2)
    return trim(network)


def _first_convolution(channels: int, kernel_size: int, stride: int) -> nn.Conv2d:
    """To 64 channels, with random weights drawn as torchvision draws those it replaces."""
    padding = kernel_size // 2
    convolution = nn.Conv2d(channels, 64, kernel_size, stride, padding, bias=False)
    nn.init.kaiming_normal_(convolution.weight, mode="fan_out", nonlinearity="relu")
    return convolution


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions around a short cut (He et al. 2016, figure 2)."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
            nn.Conv2d(outputs, outputs, 3, padding=1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = (
            nn.Identity()
            if inputs == outputs and stride == 1
            else nn.Sequential(
                # Pooling, not a strided 1 x 1 convolution (He et al. 2019, ResNet-D): oneDNN of
                # torch 2.14 writes past its memory in the backward pass of that convolution
                # in channels-last order with few inputs (seen with 4 and 6).
                nn.AvgPool2d(stride, ceil_mode=True),
                nn.Conv2d(inputs, outputs, 1, bias=False),
                nn.BatchNorm2d(outputs),
            )
        )
        self.activation = nn.ReLU(inplace=True)

    def forward(self, images: Tensor) -> Tensor:
        """(n, inputs, h, w) to (n, outputs, h / stride, w / stride)."""
        out: Tensor = self.activation(self.body(images) + self.shortcut(images))
        return out


class SmallResNet(nn.Module):
    """Three residual blocks for images of 8 to 32 pixels; the demo's network."""

    def __init__(self, num_classes: int, channels: int, width: int, stem_stride: int = 1) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 3, stem_stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(inplace=True),
        )
        self.blocks = nn.Sequential(
            ResidualBlock(width, width, stride=1),
            ResidualBlock(width, 2 * width, stride=2),
            ResidualBlock(2 * width, 4 * width, stride=2),
        )
        self.head = nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4 * width, num_classes)
        )

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, channels, h, w) to scores (n, num_classes)."""
        scores: Tensor = self.head(self.blocks(self.stem(images)))
        return scores


NETWORKS = ("resnet18", "resnet50", "small_resnet")
