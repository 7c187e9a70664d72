"""``python -m hrfs.report``: what it writes, of whole runs and of others, and what it refuses."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
import sys
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest
import yaml
from reporting_play import Play
from runs_play import write_run, write_start

from hrfs import report
from hrfs.experiment.schedule import read_schedule
from hrfs.reporting import SliceCsv, read_slices
from hrfs.reporting.report import writing
from hrfs.reporting.slices_write import encode_slices

ROOT = Path(__file__).resolve().parents[2]
XSS = '"><img src=x onerror=alert(1)></script><script>alert(2)</script>'


class Page(HTMLParser):
    """The elements of a page, with their attributes, and what stands in its scripts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self._inside = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        self._inside = tag == "script"
        if self._inside:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.scripts[-1] += data

    def tags(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.found if tag == name]


def plain(*arguments: object) -> None:
    report.main([*map(str, arguments), "figures=false"])


def test_a_whole_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_run(tmp_path / "run")
    plain(folder)
    said = capsys.readouterr().out
    assert said == f"report: {folder}/report.html, and beside it winner_schedule.json\n"
    page = Page((folder / "report.html").read_text())
    alts = [
        attributes["aria-label"] for attributes in page.tags("div") if "aria-label" in attributes
    ]
    assert len(alts) == 8
    assert alts[0] is not None
    assert alts[0].startswith("Timeline. ")
    assert not [a for _, attributes in page.found for a in attributes if a in ("src", "onclick")]
    summary = json.loads((folder / "summary.json").read_text())
    schedule = read_schedule(folder / "winner_schedule.json")
    assert schedule.metric == "val/acc"
    assert schedule.stretches[-1].trial == summary["winner"]["trial"]
    assert schedule.stretches[-1].hyperparameters == summary["winner"]["hyperparameters"]
    assert schedule.seed == 0


def test_the_policy_lets_just_its_own_scripts_run(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run")
    plain(folder)
    text = (folder / "report.html").read_text()
    page = Page(text)
    (policy,) = [a["content"] for a in page.tags("meta") if "http-equiv" in a]
    assert policy is not None
    assert "default-src 'none'" in policy
    kinds = [attributes.get("type") for attributes in page.tags("script")]
    run = [s for s, kind in zip(page.scripts, kinds, strict=True) if kind is None]
    hashes = [b64encode(sha256(script.encode()).digest()).decode() for script in run]
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes
    assert len(hashes) == 2


@pytest.mark.slow
def test_figures_for_papers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_run(tmp_path / "run")
    report.main([str(folder), f"out={tmp_path / 'out'}"])
    assert "winner_schedule.json, 16 figures in report_figures/" in capsys.readouterr().out
    figures = tmp_path / "out" / "report_figures"
    assert (figures / "timeline.png").read_bytes().startswith(b"\x89PNG")
    assert (figures / "scores.svg").read_bytes().startswith(b"<?xml")
    links = [a["href"] for a in Page((tmp_path / "out/report.html").read_text()).tags("a")]
    inner = [link for link in links if link and not link.startswith("#")]
    assert len(inner) == 17
    assert all((tmp_path / "out" / link).is_file() for link in inner)
    assert not (folder / "report.html").exists()


def test_what_comes_out_of_files_is_escaped(tmp_path: Path) -> None:
    folder = tmp_path / "<i>run"
    write_run(folder)
    text = (folder / "slices.csv").read_text()
    quoted = '"' + XSS.replace('"', '""') + '"'
    text = text.replace("least advanced", quoted).replace("box-cpu-0", quoted)
    (folder / "slices.csv").write_text(text)
    assert any(record.reason == XSS for record in read_slices(folder / "slices.csv"))
    summary = json.loads((folder / "summary.json").read_text())
    summary["labels"]["model"] = XSS
    summary[XSS] = XSS
    (folder / "summary.json").write_text(json.dumps(summary))
    plain(folder)
    page = Page((folder / "report.html").read_text())
    assert page.tags("img") == []
    assert page.tags("i") == []
    assert len(page.tags("script")) == 4
    assert not [a for _, attributes in page.found for a in attributes if a.startswith("on")]
    charts = json.loads(page.scripts[0])
    assert XSS in json.dumps(charts[0]["boxes"]).replace('\\"', '"')  # shown as plain text


def test_a_run_that_was_killed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_start(tmp_path / "run")
    Play([SliceCsv(folder / "slices.csv")]).run(most_slices=9)
    path = folder / "slices.csv"
    path.write_bytes(path.read_bytes() + "99,1,b\u00f6".encode()[:-1])  # torn within a character
    plain(folder)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("No summary: it has no summary.json, so it was killed or is still")
    assert said[1] == "Left out: 1 truncated line at the end of slices.csv."
    assert said[2] == ("Nothing says whether high or low scores are better: high is taken to be.")
    assert said[3].startswith("report: ")
    assert "1 truncated line" in (folder / "report.html").read_text()


def test_a_run_that_has_just_begun(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = write_start(tmp_path / "run", {"population": {"mode": "min", "metric": "val/loss"}})
    plain(folder)
    said = capsys.readouterr().out
    assert "There is no slice in slices.csv yet." in said
    assert "high is taken" not in said
    assert not (folder / "winner_schedule.json").exists()


def test_values_that_no_schedule_can_hold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_run(tmp_path / "run")
    records = read_slices(folder / "slices.csv")
    odd = [
        replace(
            r, hyperparameters={"lr": math.nan, "sizes": [[1, 2], [3]], "big": 10**400 + r.trial}
        )
        for r in records
    ]
    (folder / "slices.csv").write_bytes(b"".join(encode_slices(odd)))
    plain(folder)
    assert "There is no winner_schedule.json: " in capsys.readouterr().out
    assert not (folder / "winner_schedule.json").exists()
    assert (folder / "report.html").exists()


def test_several_populations(tmp_path: Path) -> None:
    folder = write_run(tmp_path / "run", seeds=(3, 5))
    plain(folder)
    found = sorted(path.name for path in folder.glob("winner_schedule*.json"))
    assert found == [
        "winner_schedule.json",
        "winner_schedule_seed3.json",
        "winner_schedule_seed5.json",
    ]
    best = read_schedule(folder / "winner_schedule.json")
    one = read_schedule(folder / f"winner_schedule_seed{best.seed}.json")
    assert one == best


def test_a_sweep_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sweep = tmp_path / "sweep"
    for seed in range(2):
        write_run(sweep / f"a{seed}", seed, slower=1 + 0.1 * seed)
        changes = {"scheduler.policy": "ray_pbt"}
        write_run(sweep / f"b{seed}", seed, changes=changes, slower=2 + 0.1 * seed)
    write_start(sweep / "killed")
    plain(sweep)
    assert f"Left out: {sweep}/killed: it has no summary.json" in capsys.readouterr().out
    text = (sweep / "report.html").read_text()
    for words in ("Best score so far", "makespan (s)", "hrfs against ray_pbt: 2 seeds (0, 1)"):
        assert f">{words}</h2>" in text
    assert "scheduler=ray_pbt: seeds 0, 1</h2>" in text
    assert (sweep / "summary.json").exists() is False


def test_runs_that_cannot_be_held_against_each_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_run(tmp_path / "s" / "a", 0)
    write_run(tmp_path / "s" / "b", 0, changes={"population.size": 5})
    plain(tmp_path / "s")
    assert "No scheduler is held against another: " in capsys.readouterr().out
    write_start(tmp_path / "t" / "a")
    write_start(tmp_path / "t" / "b")
    plain(tmp_path / "t")
    assert "0 populations in 0 groups" in (tmp_path / "t" / "report.html").read_text()


def refuse(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    with pytest.raises(SystemExit) as caught:
        report.main([str(argument) for argument in arguments])
    assert caught.value.code == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.count("\n") == 1
    return said.err


def test_bad_input(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "hrfs.report: folder=???: must be given" in refuse(capsys)
    assert "there is no such folder" in refuse(capsys, tmp_path / "none")
    assert "has no run in it" in refuse(capsys, empty)
    assert "out=???: must be given with several folders" in refuse(capsys, run, run)
    assert "figures=no: must be one of true, false" in refuse(capsys, run, "figures=no")
    assert "figure=no: there is no such key or folder; did you mean figures?" in refuse(
        capsys, run, "figure=no"
    )
    file = tmp_path / "file"
    file.write_text("")
    assert "is no folder" in refuse(capsys, run, f"out={file}")
    assert "cannot be written" in refuse(capsys, run, f"out={file}/in", "figures=false")


def test_files_of_a_run_that_are_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = write_run(tmp_path / "run")
    summary = (run / "summary.json").read_text()
    (run / "summary.json").write_text(json.dumps({**json.loads(summary), "format": 99}))
    assert "is of format 99, and this hrfs reads those up to 1" in refuse(capsys, run)
    (run / "summary.json").unlink()
    (run / "trials").mkdir()
    log = run / "trials" / "hrfs-events.jsonl"
    log.write_text(json.dumps({"format": 99, "hrfs": "9.9", "settings": {}}) + "\n")
    assert "is in format 99, and this hrfs reads up to 1; use hrfs 9.9" in refuse(capsys, run)
    shutil.rmtree(run / "trials")
    (run / "config.yaml").write_text("a: [")
    assert "config.yaml" in refuse(capsys, run)
    (run / "config.yaml").write_text(yaml.safe_dump({}))
    text = (run / "slices.csv").read_text()
    (run / "slices.csv").write_text(text.replace("0,0,box-gpu-0,0.0,", "0,0,box-gpu-0,nan,"))
    assert "slice 0 has a time that is no finite number" in refuse(capsys, run)
    (run / "slices.csv").write_text("a,b\n1,2\n")
    assert "is no slices.csv" in refuse(capsys, run)


@pytest.mark.parametrize("missing", ["plotly", "matplotlib"])
def test_a_missing_library(
    missing: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = write_run(tmp_path / "run")
    real = writing.find_spec
    monkeypatch.setattr(writing, "find_spec", lambda name: None if name == missing else real(name))
    said = refuse(capsys, run)
    assert f"needs {missing}, which is not installed; pip install 'hrfs[report]'" in said
    if missing == "matplotlib":
        plain(run)  # the page itself needs it not
        assert (run / "report.html").exists()


def test_help_names_the_keys_and_nothing_heavy_is_imported() -> None:
    code = (
        "import sys; from hrfs import report; report.main(['--help']);"
        "print(*{'torch', 'ray', 'hydra', 'matplotlib', 'plotly', 'scipy'} & set(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert all(f" {key}=" in done.stdout for key in ("out", "figures"))
    assert done.stdout.endswith("figures=false\n\n")
