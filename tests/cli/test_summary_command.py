"""``python -m hrfs.summary``: the same figures again, from the files alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from runs_play import write_run, write_start

from hrfs.reporting.aggregate import aggregate
from hrfs.reporting.aggregate_files import as_json
from hrfs.summary import main

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    for seed in range(2):
        write_run(tmp_path / "sweep" / str(seed), seed=seed, slower=1 + seed)
    return tmp_path / "sweep"


def _refused(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    printed = capsys.readouterr()
    assert (ended.value.code, printed.out, printed.err.count("\n")) == (2, "", 1)
    assert printed.err.startswith("hrfs.summary: ")
    return printed.err


def test_one_sweep_is_written_into_its_folder(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([str(sweep)])
    assert f"files: {sweep}\n" in capsys.readouterr().out
    assert json.loads((sweep / "summary.json").read_text()) == as_json(aggregate([sweep]), sweep)
    assert (sweep / "summary.csv").is_file()


def test_several_sweeps_are_written_where_out_says(
    sweep: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = tmp_path / "seed=2"  # as Hydra names the folders of jobs
    write_run(other / "0", seed=2)
    main([str(sweep), str(other)])
    printed = capsys.readouterr().out
    assert "all runs: seeds 0, 1, 2" in printed
    assert "nothing was written; out=DIR does that" in printed
    assert not (sweep / "summary.json").exists()
    main([str(sweep), str(other), f"out={tmp_path / 'new' / 'place'}", "targets=0.5,0.6"])
    told = json.loads((tmp_path / "new" / "place" / "summary.json").read_text())
    assert told["groups"][0]["seeds"] == [0, 1, 2]
    assert told["groups"][0]["metrics"]["time_to_0.5_s"]["n"] == 3
    assert told["folders"] == [str(sweep), str(other)]


def test_the_folder_of_a_run_is_left_as_it_is(
    sweep: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = (sweep / "0" / "summary.json").read_bytes()
    main([str(sweep / "0")])
    assert "all runs: seed 0" in capsys.readouterr().out
    assert (sweep / "0" / "summary.json").read_bytes() == before


def test_json(sweep: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([str(sweep), "format=json"])
    told = json.loads(capsys.readouterr().out)
    assert told == json.loads((sweep / "summary.json").read_text())


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--help"])
    assert "usage: python -m hrfs.summary FOLDER [FOLDER ...]" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "folder=???: must be given; add the folder of a sweep"),
        (["nonesuch"], "folder=nonesuch: there is no such folder; give the folder of a sweep"),
        (["empty"], "folder=empty: has no run in it"),
        (["half"], "folder=half: has no figures in it: half/0: it has no summary.json, so it was"),
        (["sweep", "--fast"], "argument=--fast: there is no such option; try --help"),
        (["sweep", "ouy=x"], "ouy=x: there is no such key or folder; did you mean out?"),
        (["sweep", "format=xml"], "format=xml: must be one of table, json"),
        (["sweep", "targets=0.5,x"], "targets=x: must be a number; e.g. targets=0.5,0.8"),
        (["sweep", "targets=nan"], "targets=nan: must be a number"),
        (["sweep", "out=sweep/0"], "out=sweep/0: is a run's, whose summary.json would be lost"),
        (["sweep", "out=sweep/0/slices.csv"], "out=sweep/0/slices.csv: is no folder"),
        (["sweep", "out="], "out=: is no folder"),
        (["sweep", "twice"], "seed=0: was run twice, in sweep/0 and in twice/0; give only one of"),
        (["newer"], "summary.json=newer/0/summary.json: is of format 7, and this hrfs reads"),
    ],
)
def test_bad_input_is_one_line(
    sweep: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    write_start(tmp_path / "half" / "0")
    write_run(tmp_path / "twice" / "0", seed=0)
    write_start(tmp_path / "newer" / "0")
    (tmp_path / "newer" / "0" / "summary.json").write_text('{"format": 7}')
    assert message in _refused(capsys, *arguments)
    assert not (sweep / "summary.json").exists()


def test_neither_torch_nor_ray_nor_hydra_is_imported(sweep: Path) -> None:
    script = (
        f"import sys\nfrom hrfs.summary import main\nmain([{str(sweep)!r}, 'format=json'])\n"
        "heavy = ('torch', 'ray', 'hydra', 'omegaconf', 'scipy.stats', 'tensorboardX')\n"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    assert done.stderr.strip() == "[]"
    assert json.loads(done.stdout)["groups"][0]["seeds"] == [0, 1]


def test_a_reader_that_leaves_early_is_no_error(sweep: Path) -> None:
    line = f"{sys.executable} -m hrfs.summary {sweep} | head -1; exit ${{PIPESTATUS[0]}}"
    done = subprocess.run(
        ["bash", "-c", line], env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert (sweep / "summary.json").is_file()
