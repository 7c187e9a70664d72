from __future__ import annotations

from typing import Any

import pytest
import torch
from training_helpers import WORKER, request, settings

from hrfs.experiment.errors import ConfigError
from hrfs.training.networks import build_network
from hrfs.training.runner import build

pytestmark = pytest.mark.torch


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("stem", "kernel", "size_after_stem"), [("imagenet", (7, 7), 8), ("cifar", (3, 3), 32)]
)
def test_both_stems(
    channels: int, stem: Any, kernel: tuple[int, int], size_after_stem: int
) -> None:
    network = build_network("resnet18", 12, channels, stem).eval()
    images = torch.zeros(2, channels, 32, 32)
    assert network.conv1.weight.shape == (64, channels, *kernel)
    assert network.maxpool(network.conv1(images)).shape == (2, 64, size_after_stem, size_after_stem)
    assert network(images).shape == (2, 12)


def test_the_imagenet_stem_is_torchvisions_own_network() -> None:
    from torchvision.models import resnet18

    torch.manual_seed(0)
    ours = build_network("resnet18", 10, 3).state_dict()
    torch.manual_seed(0)
    theirs = resnet18(weights=None, num_classes=10).state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("size", [8, 28, 32])
def test_the_small_net_takes_all_demo_sizes(size: int) -> None:
    network = build_network("small_resnet", 10, 1, width=8).eval()
    assert network(torch.zeros(3, 1, size, size)).shape == (3, 10)


@pytest.mark.parametrize(("size", "stride", "places"), [(28, 2, 14), (8, 2, 4), (28, 1, 28)])
def test_a_strided_stem_leaves_fewer_places(size: int, stride: int, places: int) -> None:
    network = build_network("small_resnet", 10, 1, width=8, stem_stride=stride)
    images = torch.zeros(3, 1, size, size)
    assert network.stem(images).shape == (3, 8, places, places)
    assert network(images).shape == (3, 10)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "resnet19"}, r"model\.network=resnet19: must be one of resnet18"),
        ({"name": "resnet18", "stem": "mnist"}, r"model\.stem=mnist: must be imagenet or cifar"),
        ({"name": "resnet18", "width": 3}, r"model\.width=3: is for small_resnet alone"),
        ({"name": "resnet18", "stem_stride": 2}, r"model\.stem_stride=2: is for small_resnet"),
        ({"name": "small_resnet", "stem_stride": 0}, r"model\.stem_stride=0: must be a whole numb"),
        ({"name": "small_resnet", "stem": "cifar"}, r"model\.stem=cifar: is for resnet18"),
    ],
)
def test_options_that_cannot_be(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_network(num_classes=10, channels=3, **arguments)


def test_the_small_net_learns_digits() -> None:
    model = {
        "_target_": "hrfs.training.module.ImageClassifier",
        "network": "small_resnet",
        "num_classes": 10,
    }
    dataset = {"_target_": "hrfs.training.data.ImageData", "name": "digits", "batch_size": 64}
    runner = build(settings({**model, "channels": 1}, dataset))
    runner.begin(0)
    result = runner.run(request(0, 100, trial=0, worker=WORKER, lr=0.1, momentum=0.9))
    assert result.metrics["val/acc"] > 0.95
