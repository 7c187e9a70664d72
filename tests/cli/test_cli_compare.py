"""``python -m hrfs.compare``: what it prints, writes, refuses, and how soon."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from hrfs import compare

sys.path.append(str(Path(__file__).parents[1] / "reporting"))
from comparison_folders import write_run

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ("ray", "torch", "hydra", "omegaconf", "pytorch_lightning", "tensorboardX", "matplotlib")
STARTS_WITHIN_S = 1.0


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two seeds of each side; hrfs takes half and a third of the time."""
    for seed in range(2):
        write_run(tmp_path / "sweep" / f"h{seed}", "hrfs", seed, 100.0)
        write_run(tmp_path / "sweep" / f"r{seed}", "ray_pbt", seed, 100.0 * (seed + 2))
    return tmp_path / "sweep"


def test_a_table(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare.main([str(sweep)])
    said = capsys.readouterr().out
    assert said.startswith("hrfs against ray_pbt: 2 seeds (0, 1)\n")
    assert "times as fast" in said
    assert max(map(len, said.splitlines())) <= 100


def test_other_forms_and_files(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = sweep.parent / "new" / "results"
    compare.main([str(sweep), "format=json", f"out={out}"])
    said = capsys.readouterr().out
    assert (out / "comparison.json").read_text() == said
    ratio = json.loads(said)["contests"][0]["figures"]["makespan_s"]["ratio"]
    assert ratio["mean"] == pytest.approx(math.sqrt(6))
    for form in ("csv", "markdown"):
        compare.main([str(sweep), f"format={form}"])
        suffix = {"csv": "csv", "markdown": "md"}[form]
        assert capsys.readouterr().out == (out / f"comparison.{suffix}").read_text()
    rows = list(csv.DictReader(io.StringIO((out / "comparison.csv").read_text())))
    assert float(rows[0]["ratio"]) == pytest.approx(math.sqrt(6))


def test_help_tells_all_keys(capsys: pytest.CaptureFixture[str]) -> None:
    compare.main(["--help"])
    said = capsys.readouterr().out
    assert all(f" {key}=" in said for key in ("by", "baseline", "out", "format"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "folder=???: must be given; add the folder of a sweep"),
        (["none"], "folder=none: there is no such folder; "),
        (["."], "folder=.: has no run in it; "),
        (["sweep/h0", "sweep/h1"], "folder=sweep/h0, sweep/h1: all 2 finished runs have "
                                   "scheduler.policy=hrfs; a comparison needs two values of it"),
        (["sweep", "baseline=greedy"], "baseline=greedy: no finished run has "
                                       "scheduler.policy=greedy; there are hrfs, ray_pbt"),
        (["sweep/h0", "sweep/r1"], "baseline=ray_pbt: has no seed in common with hrfs; "),
        (["sweep", "by=model.depth"], "by=model.depth: is no key of "),
        (["sweep", "format=xml"], "format=xml: must be one of table, json, csv, markdown"),
        (["sweep", "baselin=hrfs"], "baselin=hrfs: there is no such key or folder; did you mean "
                                    "baseline?"),
        (["sweep", "--verbose"], "argument=--verbose: there is no such option; try --help"),
        (["sweep", "out=sweep/h0/config.yaml"], "out=sweep/h0/config.yaml: is no folder; "),
    ],
)  # fmt: skip
def test_bad_input_is_one_line(
    sweep: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(sweep.parent)
    (sweep.parent / "empty").mkdir()
    if arguments == ["."]:
        monkeypatch.chdir("empty")
    with pytest.raises(SystemExit) as ended:
        compare.main(arguments)
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith(f"hrfs.compare: {message}")
    assert len(printed.err.splitlines()) == 1


def test_a_folder_that_cannot_be_written(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = sweep.parent / "file"
    file.write_text("")
    with pytest.raises(SystemExit) as ended:
        compare.main([str(sweep), f"out={file}/below"])
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert printed.err.startswith(f"hrfs.compare: out={file}/below: cannot be written (")
    assert printed.out == ""


def test_it_complains_at_once_and_without_what_is_heavy(sweep: Path) -> None:
    code = (
        "import sys; from hrfs.compare import main\n"
        f"main([{str(sweep)!r}])\n"
        f"sys.exit(', '.join(m for m in {HEAVY} if m in sys.modules))"
    )
    refused = f"from hrfs.compare import main; main([{str(sweep)!r}, 'baseline=x'])"
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, text=True, capture_output=True,
        env=environment, timeout=60, check=False,
    )  # fmt: skip
    assert done.stderr == "\n"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = subprocess.run(
        [sys.executable, "-c", refused], cwd=ROOT, text=True, capture_output=True,
        env=environment, timeout=60, check=False,
    )  # fmt: skip
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 2
    cpu_s = after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime
    assert cpu_s < STARTS_WITHIN_S  # of the processor: the machine may be busy
