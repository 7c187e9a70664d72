"""The page on the simulator: its example runs, and it knows every key."""

from __future__ import annotations

import dataclasses
import re
import shlex
from pathlib import Path

import pytest
import yaml
from replay_folder import make_run_folder

from hrfs import simulate
from hrfs.cli.simulate_arguments import KEYS
from hrfs.cli.simulate_summary import LISTED_WORKERS
from hrfs.reporting import read_slices
from hrfs.simulator.spec import LearningCurve, LearningRate, SimulatedWorker, Workload
from hrfs.simulator.what_if import FORMS

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
PAGE = ROOT / "docs" / "simulator.md"
TEXT = PAGE.read_text()


SIMULATE = ["python", "-m", "hrfs.simulate"]


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, re.M | re.S)


def commands() -> list[list[str]]:
    """Arguments of every simulation on the page."""
    lines = [shlex.split(line) for block in blocks("sh") for line in block.splitlines()]
    return [words[3:] for words in lines if words[:3] == SIMULATE]


def test_the_example_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (spec,) = blocks("json")
    Path("cluster.json").write_text(spec)
    first, several = (words for words in commands() if "workload=cluster.json" in words)
    simulate.main(first)
    records = read_slices(tmp_path / "slices.csv")
    assert sum(record.iterations for record in records) == 8 * 1000
    assert min(r.start_s for r in records if r.worker == "cpu1") >= 60
    simulate.main([*several, "out=slices.csv"])
    records = read_slices(tmp_path / "slices.csv")
    assert {record.trial for record in records} == set(range(3 * 8))


def test_the_replays_run_on_what_the_demo_leaves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    demo = yaml.safe_load((CONF / "cluster" / "emulated.yaml").read_text())["emulated"]
    workers = tuple(SimulatedWorker(w["name"], 0.02 * w["slowdown"], 0.1, w["kind"]) for w in demo)
    workload = Workload(8, 240, 20, workers, noise_sigma=0.05)
    make_run_folder(tmp_path / "outputs" / "demo", workload, "hrfs")
    replays = [words for words in commands() if "workload=from_run:outputs/demo" in words]
    assert len(replays) == 2
    for arguments in replays:
        simulate.main(arguments)
        rows = capsys.readouterr().out
        changes = [word.removeprefix("what_if=") for word in arguments if "what_if" in word]
        assert all(change.replace(",", ", ") in rows for change in changes)
    (shown,) = blocks("text")
    assert [line.split()[0] for line in shown.splitlines()[3:]] == [
        line.split()[0] for line in rows.splitlines()[3:]
    ]


def test_every_change_has_a_row() -> None:
    told = re.findall(r"^\| `([-+]\S*|\w+=\S+)` \| with", TEXT, re.M)
    assert " or ".join([", ".join(told[:-1]), told[-1]]) == FORMS


@pytest.mark.parametrize("kind", [Workload, SimulatedWorker, LearningCurve])
def test_every_key_has_a_row(kind: type) -> None:
    first_cells = re.findall(r"^\| (`.+?) \|", TEXT, re.M)
    told = {name for cell in first_cells for name in re.findall(r"`(\w+)", cell)}
    assert {field.name for field in dataclasses.fields(kind)} <= told


def test_what_the_page_says_of_arguments_and_limits_is_so() -> None:
    arguments = TEXT.partition("## Arguments")[2].partition("\n## ")[0]
    told = set(re.findall(r"^\| `([\w.]+)=", arguments, re.M))
    assert told == set(KEYS)
    assert f"Up to {LISTED_WORKERS} workers are listed" in TEXT
    assert all(f'"{field.name}"' in TEXT for field in dataclasses.fields(LearningRate))
