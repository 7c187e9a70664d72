"""Each file of conf/model, conf/dataset and conf/trainer, as a run would use it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from hrfs.training.dataset_settings import IMAGE_DATA_TARGET, is_image_data, parse_dataset
from hrfs.training.settings import TrainerSettings, from_mapping
from hrfs.training.sources import SOURCES, make_source

CONF = Path(__file__).parents[2] / "conf"
DATASETS = sorted(file.stem for file in (CONF / "dataset").glob("*.yaml"))
MODELS = sorted(file.stem for file in (CONF / "model").glob("*.yaml"))


def composed(**choices: str) -> dict[str, Any]:
    groups = {g: OmegaConf.load(CONF / g / f"{name}.yaml") for g, name in choices.items()}
    plain = OmegaConf.to_container(OmegaConf.create(groups), resolve=True)
    assert isinstance(plain, dict)
    return {str(key): value for key, value in plain.items()}


def test_every_dataset_has_its_file() -> None:
    assert sorted(SOURCES) == DATASETS


@pytest.mark.parametrize("name", DATASETS)
def test_a_dataset_file_describes_its_dataset(name: str) -> None:
    plain = composed(dataset=name)["dataset"]
    assert is_image_data(plain)
    settings = parse_dataset(plain)
    assert settings.name == name
    facts = make_source(settings).facts
    described = (settings.num_classes, settings.channels, settings.image_size)
    assert described == (facts.num_classes, facts.channels, facts.image_size)
    assert settings.root == "data"
    assert settings.download is False


@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_the_papers_batch_size(name: str) -> None:
    assert composed(dataset=name)["dataset"]["batch_size"] == 512


def test_the_default_trainer() -> None:
    plain = composed(trainer="default")["trainer"]
    assert from_mapping(TrainerSettings, plain, "trainer") == TrainerSettings()


@pytest.mark.torch
@pytest.mark.parametrize("model", MODELS)
def test_every_model_file_builds_for_every_dataset(model: str) -> None:
    from hrfs.training.data import ImageData
    from hrfs.training.modules import ModuleFactory
    from hrfs.training.settings import RunnerSettings
    from hrfs.training.targets import locate

    assert locate(IMAGE_DATA_TARGET, "dataset._target_") is ImageData
    for dataset in ("digits", "cifar100"):
        plain = {**composed(model=model, dataset=dataset, trainer="default"), "seed": 0}
        module = ModuleFactory(RunnerSettings.from_plain(plain)).build((0, 0), {"lr": 0.2})
        assert module.hparams["network"] == model
        assert module.hparams["lr"] == 0.2
        assert module.hparams["num_classes"] == plain["dataset"]["num_classes"]
