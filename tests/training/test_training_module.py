"""The arguments of the ImageClassifier that shape a training step."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from hrfs.experiment.errors import ConfigError
from hrfs.training.module import ImageClassifier

pytestmark = pytest.mark.torch


def classifier(**arguments: Any) -> ImageClassifier:
    torch.manual_seed(0)
    return ImageClassifier("small_resnet", 4, channels=1, width=4, **arguments)


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(6, 1, 8, 8, generator=generator), torch.arange(6) % 4


def test_labels_are_smoothed_in_training_alone() -> None:
    images, labels = batch()
    plain, smoothed = (classifier(label_smoothing=part) for part in (0.0, 0.2))
    logs = torch.log_softmax(plain(images), 1)
    right = torch.nn.functional.one_hot(labels, 4)
    targets = 0.8 * right + 0.2 / 4
    for module, wanted in ((plain, right), (smoothed, targets)):
        loss = module.training_step((images, labels), 0)
        torch.testing.assert_close(loss, -(wanted * logs).sum(1).mean())
    logged: dict[str, Any] = {}
    smoothed.log = lambda name, value, **_: logged.update({name: value})  # type: ignore[method-assign]
    smoothed.validation_step((images, labels), 0)
    torch.testing.assert_close(logged["val/loss"], -(right * logs).sum(1).mean())


def test_nesterov_reaches_the_optimizer() -> None:
    for nesterov in (False, True):
        optimizer = classifier(nesterov=nesterov).configure_optimizers()
        assert optimizer.param_groups[0]["nesterov"] is nesterov
    assert classifier().hparams["nesterov"] is False


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"label_smoothing": 1.1}, r"^model\.label_smoothing=1\.1: must be a number between 0"),
        ({"label_smoothing": True}, r"^model\.label_smoothing=True: must be a number between 0"),
        ({"label_smoothing": "x"}, r"^model\.label_smoothing=x: must be a number between 0 and 1"),
        ({"nesterov": 1}, r"^model\.nesterov=1: must be true or false$"),
        (
            {"nesterov": True, "momentum": 0.0},
            r"^model\.momentum=0\.0: must be above 0 with model\.nesterov=true$",
        ),
    ],
)
def test_values_that_cannot_be_are_told(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        classifier(**arguments)
