"""The original's way to train, from its description; none of its code was used."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.training.case import LEARNING, Case, now_s, random_images
from hrfs.training.trimmed import TrimmedConv2d


class PictureByPicture(Dataset[Any]):
    """Gives one image at a time, made anew by Python from its bytes."""

    def __init__(self, samples: int) -> None:
        images, labels = random_images(samples)
        self._images, self._labels = images.numpy(), labels.tolist()
        half = (0.5, 0.5, 0.5)
        self._transform = transforms.Compose(
            [transforms.ToTensor(), transforms.Normalize(half, half)]
        )

    def __len__(self) -> int:
        return len(self._labels)

    def __getitem__(self, position: int) -> tuple[Any, int]:
        picture = Image.fromarray(self._images[position])
        return self._transform(picture), self._labels[position]


class Original:
    """Builds loader and shuffle anew for each batch and uses their first one."""

    told = "32 bit, contiguous"

    def __init__(self, case: Case) -> None:
        self._case = case
        self._dataset = PictureByPicture(case.samples)
        self._network = as_torchvision_has_it(case.make_network()).to(case.device)
        self._optimizer = torch.optim.SGD(self._network.parameters(), **LEARNING)

    def round(self, iterations: int) -> Mapping[str, float]:
        """See :class:`~benchmarks.training.case.Way`."""
        device, batch = self._case.device, self._case.batch
        start_s = now_s(device)
        for _ in range(iterations):
            images, labels = next(iter(DataLoader(self._dataset, batch, shuffle=True)))
            self._optimizer.zero_grad()
            scores = self._network(images.to(device))
            nn.functional.cross_entropy(scores, labels.to(device)).backward()
            self._optimizer.step()
        return {"images_per_s": iterations * batch / (now_s(device) - start_s)}


def as_torchvision_has_it(network: nn.Module) -> nn.Module:
    """Whole kernels again, wherever they lie."""
    for part in network.modules():
        if isinstance(part, TrimmedConv2d):
            part.__class__ = nn.Conv2d
    return network
