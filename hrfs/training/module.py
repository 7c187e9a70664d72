"""The LightningModule of the networks that come with hrfs."""

from __future__ import annotations

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn
from torchmetrics.classification import MulticlassAccuracy

from hrfs.experiment.errors import ConfigError
from hrfs.training.networks import Stem, build_network
from hrfs.training.settings import require_type

Batch = tuple[Tensor, Tensor]


class ImageClassifier(LightningModule):
    """A network, cross entropy, and stochastic gradient descent with momentum.

    Batches are (images (n, channels, h, w), labels (n,)). It logs ``val/loss``, ``val/acc``,
    ``test/loss`` and ``test/acc`` (accuracies in [0, 1]), and leaves ``train/loss`` to the
    runner: on a GPU, Lightning's ``log`` takes a tenth of a small network's step.
    """

    evaluation_keeps_state = True
    """So its state may be written while it is evaluated; see :mod:`hrfs.training.runner`."""

    def __init__(
        self,
        network: str,
        num_classes: int,
        channels: int = 3,
        stem: Stem | None = None,
        width: int | None = None,
        lr: float = 0.1,
        momentum: float = 0.9,
        weight_decay: float = 0.0005,
        nesterov: bool = False,
        label_smoothing: float = 0.0,
        stem_stride: int | None = None,
    ) -> None:
        """For ``network``, ``stem``, ``width`` and ``stem_stride`` see
        :func:`~hrfs.training.networks.build_network`.

        Args:
            nesterov: whether SGD looks ahead by its momentum (Sutskever et al. 2013).
            label_smoothing: part of each label, in [0, 1], that is spread evenly over the classes
                in training (Szegedy et al. 2016, section 7). Losses of evaluation have none.

        Raises:
            ConfigError: one of the last two cannot be.
        """
        super().__init__()
        self.save_hyperparameters()
        _check(nesterov, momentum, label_smoothing)
        self.network = build_network(network, num_classes, channels, stem, width, stem_stride)
        # validate_args would read every batch back from the device
        self.val_accuracy = MulticlassAccuracy(num_classes, average="micro", validate_args=False)
        self.test_accuracy = MulticlassAccuracy(num_classes, average="micro", validate_args=False)

    def forward(self, images: Tensor) -> Tensor:
        """Images (n, channels, h, w) to scores (n, num_classes)."""
        scores: Tensor = self.network(images)
        return scores

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Mean cross entropy of one batch, with smoothed labels if asked."""
        images, labels = batch
        smoothing = self.hparams["label_smoothing"]
        return nn.functional.cross_entropy(self(images), labels, label_smoothing=smoothing)

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Add one batch to ``val/loss`` and ``val/acc``."""
        self._evaluate(batch, "val", self.val_accuracy)

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Add one batch to ``test/loss`` and ``test/acc``."""
        self._evaluate(batch, "test", self.test_accuracy)

    def _evaluate(self, batch: Batch, stage: str, accuracy: MulticlassAccuracy) -> None:
        images, labels = batch
        scores = self(images)
        accuracy.update(scores, labels)
        loss = nn.functional.cross_entropy(scores, labels)
        self.log(f"{stage}/loss", loss, on_step=False, on_epoch=True, batch_size=len(labels))
        self.log(f"{stage}/acc", accuracy, on_step=False, on_epoch=True, batch_size=len(labels))

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """SGD with the module's ``lr``, ``momentum``, ``weight_decay`` and ``nesterov``.

        Fused: one pass over the weights in place of four, on a CPU and on a GPU.
        """
        return torch.optim.SGD(
            self.parameters(),
            lr=self.hparams["lr"],
            momentum=self.hparams["momentum"],
            weight_decay=self.hparams["weight_decay"],
            nesterov=self.hparams["nesterov"],
            fused=True,
        )


def _check(nesterov: bool, momentum: float, label_smoothing: float) -> None:
    require_type("model.nesterov", nesterov, bool)
    if nesterov and not momentum > 0:
        raise ConfigError("model.momentum", momentum, "must be above 0 with model.nesterov=true")
    number = isinstance(label_smoothing, int | float) and not isinstance(label_smoothing, bool)
    if not number or not 0 <= label_smoothing <= 1:
        rule = "must be a number between 0 and 1"
        raise ConfigError("model.label_smoothing", label_smoothing, rule)
