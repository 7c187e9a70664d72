"""What is installed is what the checkout has, and the versions stand in one place."""

from __future__ import annotations

import configparser
import re
import sys
import zipfile
from pathlib import Path

import pytest
import yaml
from builds import ROOT, build_wheel, copy_source, run, unpack_sdist
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

OURS = ("hrfs", "hydra_plugins")


def _setup() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


def _requirements(text: str) -> dict[str, Requirement]:
    parsed = [Requirement(line) for line in text.strip().splitlines()]
    return {requirement.name.lower(): requirement for requirement in parsed}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What is built."""
    return copy_source(tmp_path_factory.mktemp("source") / "hrfs")


def _works_from(unpacked: Path, elsewhere: Path) -> None:
    """Help and composition work in another directory with nothing but ``unpacked``."""
    code = (
        f"import sys; sys.path.insert(0, {str(unpacked)!r})\n"
        "from hrfs.cli.main import main\nimport hrfs\nprint(hrfs.__file__)\nmain(sys.argv[1:])\n"
    )
    printed = run(sys.executable, "-c", code, "--help", cwd=elsewhere)
    assert printed.startswith(str(unpacked))
    assert "scheduler     fastest_only, greedy, hrfs, hrfs_paper" in printed
    composed = run(sys.executable, "-c", code, "--cfg", "job", cwd=elsewhere).partition("\n")[2]
    assert yaml.safe_load(composed)["dataset"]["name"] == "digits"


@pytest.mark.slow
def test_wheel_carries_the_configuration(source: Path, tmp_path: Path) -> None:
    wheel = build_wheel(source, tmp_path)
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        archive.extractall(tmp_path / "installed")
    shipped = {name.removeprefix("hrfs/") for name in names if name.startswith("hrfs/conf/")}
    assert shipped == {str(p.relative_to(source)) for p in source.glob("conf/**/*.yaml")}
    assert "hrfs/py.typed" in names
    assert not any(name.startswith(("tests/", "benchmarks/", "docs/", "conf/")) for name in names)
    (tmp_path / "elsewhere").mkdir()
    _works_from(tmp_path / "installed", tmp_path / "elsewhere")


@pytest.mark.slow
def test_sdist_builds_the_same_wheel(source: Path, tmp_path: Path) -> None:
    project = unpack_sdist(source, tmp_path)
    for name in ("LICENSE", "conf/config.yaml", "requirements/constraints.txt"):
        assert (project / name).is_file()
    wheels = build_wheel(project, tmp_path / "one"), build_wheel(source, tmp_path / "two")
    names = []
    for wheel in wheels:
        with zipfile.ZipFile(wheel) as archive_of_wheel:
            names.append(set(archive_of_wheel.namelist()))
    assert names[0] == names[1]


def test_environment_file_agrees_with_setup() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    setup = _setup()
    assert environment["name"] == setup["metadata"]["name"]
    plain = [item for item in environment["dependencies"] if isinstance(item, str)]
    (by_pip,) = [item["pip"] for item in environment["dependencies"] if isinstance(item, dict)]
    (python,) = [Requirement(item) for item in plain if item.startswith("python")]
    assert python.specifier == SpecifierSet(setup["options"]["python_requires"])
    assert {re.split("[<>=]", item)[0] for item in plain} == {"python", "pip"}
    constraint, project = by_pip
    assert (ROOT / constraint.removeprefix("--constraint ")).is_file()
    extras = re.fullmatch(r"--editable \.\[(.+)\]", project)
    assert extras is not None
    assert set(extras.group(1).split(",")) <= set(setup["options.extras_require"])


def test_python_versions_agree() -> None:
    setup = _setup()
    versions = re.findall(r"Python :: (3\.\d+)", setup["metadata"]["classifiers"])
    assert versions == ["3.10", "3.11", "3.12"]
    allowed = SpecifierSet(setup["options"]["python_requires"])
    assert [f"3.{minor}" in allowed for minor in range(9, 15)] == [
        f"3.{minor}" in versions for minor in range(9, 15)
    ]


def test_every_constraint_satisfies_the_ranges_of_setup() -> None:
    setup = _setup()
    wanted = _requirements(setup["options"]["install_requires"])
    for extra in ("test", "dev"):
        wanted |= _requirements(setup["options.extras_require"][extra])
    text = (ROOT / "requirements" / "constraints.txt").read_text()
    pinned = _requirements("\n".join(line for line in text.splitlines() if line[:1] != "#"))
    pinned = {name.replace("_", "-"): requirement for name, requirement in pinned.items()}
    for name, requirement in wanted.items():
        exact = pinned[name.replace("_", "-")]
        (version,) = [specifier.version for specifier in exact.specifier]
        assert version in requirement.specifier, f"{name}=={version}"


def test_every_imported_distribution_is_required() -> None:
    imports = {
        "hydra": "hydra-core",
        "yaml": "pyyaml",
        "sklearn": "scikit-learn",
        "pytorch_lightning": "pytorch-lightning",
        "annotated_types": "annotated-types",
        "lightning_fabric": "pytorch-lightning",
        "tensorboardX": "tensorboardx",
    }
    setup = _setup()
    required = set(_requirements(setup["options"]["install_requires"]))
    # What draws reports is asked for by name, with a remedy where it is missing.
    required |= set(_requirements(setup["options.extras_require"]["report"]))
    found = set()
    for file in [f for own in OURS for f in (ROOT / own).rglob("*.py")]:
        found |= set(re.findall(r"^\s*(?:from|import) (\w+)", file.read_text(), re.MULTILINE))
    foreign = found - set(sys.stdlib_module_names) - {*OURS, "__future__"}
    names = {imports.get(name, name).lower() for name in foreign & _importable(foreign)}
    assert names <= required


def _importable(names: set[str]) -> set[str]:
    """Those that are modules; a docstring may have a line that begins with "from"."""
    from importlib.util import find_spec

    return {name for name in names if find_spec(name) is not None}
