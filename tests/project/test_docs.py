"""What the documents say is done as they say it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hydra import compose, initialize_config_dir

from hrfs.cli import schema
from hrfs.cli.arguments import for_hydra, split, to_resume
from hrfs.cli.paths import config_dir

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])
OWN = ROOT / "docs" / "own_model_and_data.md"


def blocks(document: Path, language: str) -> list[str]:
    """The fenced code blocks of one language, in order."""
    return re.findall(rf"^```{language}\n(.*?)^```$", document.read_text(), re.M | re.S)


def _commands(document: Path) -> list[list[str]]:
    lines = [line for block in blocks(document, "sh") for line in block.splitlines()]
    parts = [shlex.split(line, comments=True) for line in lines]
    return [words[3:] for words in parts if words[:3] == ["python", "-m", "hrfs"]]


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(arguments, id=f"{document.stem}: {' '.join(arguments)}")
        for document in DOCUMENTS
        for arguments in _commands(document)
        if "--config-dir" not in arguments
        and "--multirun" not in arguments
        and to_resume(arguments) is None
    ],
)
def test_every_command_composes(arguments: list[str]) -> None:
    options, overrides = split(for_hydra(arguments))
    assert options == []
    overrides = [item for item in overrides if not item.startswith("hydra.")]
    schema.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        assert compose("config", overrides).population.size >= 1


def test_readme_has_two_commands_for_set_up() -> None:
    text = (ROOT / "README.md").read_text()
    set_up = text.partition("## Set up\n")[2].partition("\n## ")[0]
    commands = re.findall(r"^```sh\n(.*?)^```$", set_up, re.M | re.S)
    assert len(commands) == 2
    install, tests = commands
    assert install.strip().endswith("&& .venv/bin/python -m hrfs")
    assert " -c requirements/constraints.txt " in install
    how = '-n 2 --dist loadfile --no-loadscope-reorder -m "not soak"'
    assert tests.strip() == f".venv/bin/python -m pytest {how}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_links_lead_somewhere(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if not target.startswith("http"):
            assert (document.parent / target).exists(), target


def test_the_papers_names_are_keys() -> None:
    text = (ROOT / "docs" / "configuration.md").read_text()
    rows = re.findall(r"^\| `(\w+)` \| `([\w.]+)` \| (.+) \|$", text, re.M)
    schema.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = compose("config", [])
    found = {}
    for old, key, default in rows:
        if "." in key and old.isupper():
            node = cfg
            for part in key.split("."):
                node = node[part]
            found[old] = (str(node).removesuffix(".0"), default.strip("`"))
    assert set(found) == {"HYPER_NUM", "BATCH_SIZE", "STOP_ITER", "STOP_ACC", "INTERVAL_CHECK",
                          "INTERVAL_REPORT", "RESOURCE_ALLOCATION"}  # fmt: skip
    assert all(value == default for value, default in found.values())


def test_example_cluster_files_are_valid(tmp_path: Path) -> None:
    from hrfs.cli.build import build_cluster, to_plain
    from hrfs.cli.validate import check_cluster

    schema.register()
    for index, text in enumerate(blocks(ROOT / "docs" / "clusters.md", "yaml")):
        own = tmp_path / str(index) / "cluster"
        own.mkdir(parents=True)
        (own / "mine.yaml").write_text(text)
        with initialize_config_dir(str(config_dir()), version_base="1.3"):
            search = f"hydra.searchpath=[file://{own.parent}]"
            config = to_plain(compose("config", [search, "cluster=mine"]))
        check_cluster(config["cluster"])
        assert build_cluster(config).mode == yaml.safe_load(text)["mode"]


@pytest.mark.ray
@pytest.mark.torch
@pytest.mark.slow
def test_own_model_and_data_train(tmp_path: Path) -> None:
    (code,) = blocks(OWN, "python")
    model, dataset = blocks(OWN, "yaml")
    (command,) = blocks(OWN, "sh")
    (tmp_path / "my_sums.py").write_text(code)
    for group, name, text in (("model", "sum_sign", model), ("dataset", "sums", dataset)):
        (tmp_path / "my_conf" / group).mkdir(parents=True)
        (tmp_path / "my_conf" / group / f"{name}.yaml").write_text(text)
    words = shlex.split(command)
    assert words[:3] == ["python", "-m", "hrfs"]
    short = [
        "population.size=4",
        "population.stop_iterations=20",
        "population.interval_iterations=10",
        "cluster.emulated=[{name:a,kind:gpu},{name:b,kind:cpu,slowdown:2}]",
        "hydra.run.dir=out",
    ]
    done = subprocess.run(
        [sys.executable, *words[1:], *short], cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["status"] == "finished"
    assert summary["trials"]["finished"] == 4
    assert summary["iterations"] == 4 * 20
    assert summary["test"]["test/acc"] > 0.6
