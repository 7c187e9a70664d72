from __future__ import annotations

import functools
import sys
import types

import pytest

from hrfs.experiment.errors import ConfigError
from hrfs.training.settings import RunnerSettings
from hrfs.training.targets import accepts, instantiate, is_allowed, locate

DOMAIN = "hrfs.core.search_space.Uniform"


def checked(model: dict[str, object]) -> RunnerSettings:
    return RunnerSettings.from_plain({"model": model, "dataset": {"_target_": "their.Data"}})


@pytest.mark.parametrize("dotted", ["torchevil.Net", "hrfs_other.Thing"])
def test_a_foreign_package_is_refused(dotted: str) -> None:
    assert not is_allowed(dotted)
    with pytest.raises(ConfigError, match=r"model\._target_=.*allowed packages.*allowed_targets"):
        locate(dotted, "model._target_")


@pytest.mark.parametrize("dotted", ["builtins.open", "os.system", "subprocess.Popen"])
def test_the_standard_library_is_refused_whatever_the_user_allows(dotted: str) -> None:
    package = dotted.partition(".")[0]
    with pytest.raises(ConfigError, match=rf"{dotted} is of Python's standard library"):
        locate(dotted, "model._target_", [package])


def test_a_class_that_an_allowed_package_merely_imports_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"pathlib.Path is of Python's standard library"):
        locate("hrfs.experiment.files.Path", "model._target_")
    with pytest.raises(ConfigError, match=r"omegaconf\S+ is in none of the allowed packages"):
        locate("hrfs.cli.build.DictConfig", "model._target_")


@pytest.mark.torch
def test_a_part_comes_from_fewer_packages_than_the_model() -> None:
    from hrfs.training.modules import ModuleFactory

    for dotted in ("torch.package.PackageImporter", "torchvision.datasets.DatasetFolder"):
        locate(dotted, "model._target_")  # a class of an allowed package, if no LightningModule
        with pytest.raises(ConfigError, match=r"is in none of the allowed packages \(hrfs\.core"):
            locate(dotted, "model.body._target_", part=True)
    assert instantiate({"_target_": "torch.nn.Linear", "in_features": 2, "out_features": 3}, "m")
    with pytest.raises(ConfigError, match=r"must be a pytorch_lightning\.LightningModule"):
        ModuleFactory(checked({"_target_": "torch.package.PackageImporter", "file": "evil.pt"}))


@pytest.mark.parametrize(
    ("dotted", "rule"),
    [
        ("hrfs.core.search_space.Uniforn", "module hrfs.core.search_space has no Uniforn"),
        ("hrfs.nowhere.Thing", "cannot be imported"),
        ("hrfs.core.search_space.sample_all", "must name a class"),
        ("nodots", "must be the dotted path of a class"),
        (None, "must be the dotted path of a class"),
    ],
)
def test_what_cannot_be_located_is_told(dotted: str | None, rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        locate(dotted, "model._target_")


def test_a_users_own_package_is_allowed_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    own = types.ModuleType("own_package")
    exec("class Net: pass", own.__dict__)
    monkeypatch.setitem(sys.modules, "own_package", own)
    assert locate("own_package.Net", "k", ["own_package"]) is own.Net
    assert locate("own_package.Net", "k", ["own_package."]) is own.Net
    with pytest.raises(ConfigError):
        locate("own_package.Net", "k", ["own_pack"])


def test_nested_targets_are_built_and_partials_wait() -> None:
    plain = {
        "domains": [{"_target_": DOMAIN, "low": 0.0, "high": 1.0}],
        "later": {"_target_": DOMAIN, "_partial_": True, "low": 2.0},
        "number": 3,
    }
    built = instantiate(plain, "model")
    assert built["domains"][0].high == 1.0
    assert built["number"] == 3
    assert isinstance(built["later"], functools.partial)
    assert built["later"](high=5.0).low == 2.0


def test_a_nested_foreign_target_is_refused_with_its_place() -> None:
    with pytest.raises(ConfigError, match=r"model\.layers\[0\]\._target_=os\.system"):
        instantiate({"layers": [{"_target_": "os.system", "command": "true"}]}, "model")


def test_an_argument_that_the_class_does_not_take_is_told() -> None:
    with pytest.raises(ConfigError, match=r"model=.*Uniform: .*'hihg'; it takes low, high"):
        instantiate({"_target_": DOMAIN, "low": 0.0, "high": 1.0, "hihg": 1.0}, "model")


def test_accepts_knows_names_and_open_ends() -> None:
    class Named:
        def __init__(self, lr: float) -> None: ...

    class Open:
        def __init__(self, **anything: float) -> None: ...

    assert accepts(Named, "lr")
    assert not accepts(Named, "momentum")
    assert accepts(Open, "momentum")
