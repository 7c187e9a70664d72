"""Convolutions without what touches no pixel give what whole ones give."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from torch import Tensor, nn

from hrfs.training.networks import build_network
from hrfs.training.trimmed import TrimmedConv2d, touching, trim

pytestmark = pytest.mark.torch


def results(convolution: nn.Module, images: Tensor) -> list[Tensor]:
    """Scores and the gradients of weights and images."""
    images = images.clone().requires_grad_()
    scores = convolution(images)
    scores.square().sum().backward()
    weight = convolution.get_parameter("weight")
    assert weight.grad is not None
    assert images.grad is not None
    return [scores.detach(), weight.grad, images.grad]


@pytest.mark.parametrize("size", [1, 2, 3, 5, 8])
def test_results_and_gradients_are_those_of_whole_kernels(size: int) -> None:
    trimmed_any = False
    for kernel, stride, padding in itertools.product((1, 2, 3, 5, 7), (1, 2, 3), (0, 1, 2, 3)):
        if size + 2 * padding < kernel:
            continue
        torch.manual_seed(kernel)
        whole = nn.Conv2d(3, 4, kernel, stride, padding).double()
        trimmed = trim(nn.Sequential(copy.deepcopy(whole)))
        images = torch.randn(2, 3, size, size + 1, dtype=torch.double)
        for left, right in zip(
            results(whole, images), results(trimmed.get_submodule("0"), images), strict=True
        ):
            torch.testing.assert_close(left, right)
        trimmed_any |= touching(size, kernel, stride, padding)[:2] != (0, kernel)
    assert trimmed_any or size == 8


@pytest.mark.parametrize(
    ("about", "expected"),
    [
        ((1, 3, 1, 1), (1, 2, 0)),  # a pixel: the middle of the kernel
        ((2, 3, 2, 1), (1, 3, 0)),  # four pixels to one
        ((2, 3, 1, 1), (0, 3, 1)),  # each part counts somewhere
        ((32, 7, 2, 3), (0, 7, 3)),
        ((1, 1, 2, 0), (0, 1, 0)),
    ],
)
def test_parts_that_touch_a_pixel(
    about: tuple[int, int, int, int], expected: tuple[int, int, int]
) -> None:
    assert touching(*about) == expected


def test_networks_are_trimmed_where_they_shrink_images() -> None:
    torch.manual_seed(0)
    network = build_network("resnet18", 10, 3, "imagenet")
    names = {name for name, part in network.named_modules() if isinstance(part, TrimmedConv2d)}
    assert "layer4.1.conv2" in names
    assert not any("downsample" in name for name in names)  # kernels of one part
    from torchvision import models

    torch.manual_seed(0)
    whole = models.resnet18(weights=None, num_classes=10)
    assert network.state_dict().keys() == whole.state_dict().keys()
    images = torch.randn(2, 3, 32, 32)
    torch.testing.assert_close(network(images), whole(images))


def test_what_may_not_be_trimmed_is_left() -> None:
    others = nn.Sequential(
        nn.Conv2d(3, 3, 3, padding="same"),
        nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"),
        nn.Conv2d(3, 3, 3, padding=2, dilation=2),
        nn.Conv1d(3, 3, 3),
    )
    assert not any(isinstance(part, TrimmedConv2d) for part in trim(others).modules())
