"""What a configuration may not name: refused by name, in one line, before anything is imported."""

from __future__ import annotations

import sys

import pytest

from hrfs.cli.targets import check_targets
from hrfs.experiment.errors import ConfigError

MODEL = "hrfs.training.module.ImageClassifier"
RUNS_OR_READS = [
    "os.system",
    "posix.system",
    "builtins.open",
    "builtins.eval",
    "subprocess.Popen",
    "importlib.import_module",
    "pickle.loads",
    "shutil.rmtree",
]
"""Of Python's own; the ones below lie in packages that may be named otherwise."""
OF_ALLOWED_PACKAGES = [
    "torch.load",
    "torch.hub.load",
    "torch.jit.load",
    "torch.package.PackageImporter",
    "torch.serialization.load",
    "torch.utils.cpp_extension.load",
    "torch.utils.model_zoo.load_url",
    "torchvision.datasets.DatasetFolder",
    "torchvision.datasets.CIFAR10",
    "torchvision.io.read_file",
    "pytorch_lightning.Trainer",
    "pytorch_lightning.loggers.CSVLogger",
    "hrfs.experiment.files.write_atomically",
    "hrfs.cli.main.main",
]


@pytest.mark.parametrize("name", RUNS_OR_READS)
@pytest.mark.parametrize("allowed", [[], ["os.", "posix", "builtins", "subprocess."]])
def test_the_standard_library_is_refused_by_name(name: str, allowed: list[str]) -> None:
    rule = "is of Python's standard library, which no configuration may name"
    for settings, key in (
        ({"_target_": name}, "model._target_"),
        ({"_target_": MODEL, "layers": [{"_target_": name}]}, "model.layers[0]._target_"),
    ):
        with pytest.raises(ConfigError) as caught:
            check_targets(settings, "model", allowed)
        assert str(caught.value) == f"{key}={name}: {rule}"


@pytest.mark.parametrize("name", OF_ALLOWED_PACKAGES)
def test_what_opens_files_is_no_part_of_a_model(name: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_targets({"_target_": MODEL, "body": {"_target_": name}}, "model", [])
    told = str(caught.value)
    assert told.startswith(f"model.body._target_={name}: must begin with one of hrfs.core., hrfs.")
    assert "\n" not in told


@pytest.mark.parametrize("group", ["model", "dataset"])
def test_torch_has_no_model_or_data_of_lightnings_kind(group: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_targets({"_target_": "torch.load", "f": "weights"}, group, [])
    kind = {"model": "LightningModule", "dataset": "LightningDataModule"}[group]
    assert str(caught.value) == f"{group}._target_=torch.load: must be a {kind}, and torch has none"
    with pytest.raises(ConfigError, match="and torchvision has none"):
        check_targets({"_target_": "torchvision.datasets.CIFAR10"}, group, [])


def test_layers_optimizers_and_transforms_are_allowed() -> None:
    for name in ("torch.nn.Linear", "torch.optim.SGD", "torchvision.transforms.v2.Resize"):
        check_targets({"_target_": MODEL, "body": {"_target_": name}}, "model", [])


def test_nothing_is_imported_to_find_out() -> None:
    before = set(sys.modules)
    for name in ("wave.open", "torch.utils.bottleneck.run"):
        with pytest.raises(ConfigError):
            check_targets({"_target_": name}, "model", [])
    assert not any(
        m.startswith(("wave", "torch.utils.bottleneck")) for m in set(sys.modules) - before
    )
