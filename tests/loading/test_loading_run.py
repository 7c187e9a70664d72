"""``hrfs.load_run`` on runs that are whole, under way, torn, damaged or none."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from runs_play import write_run, write_start

import hrfs
from hrfs.experiment.errors import ConfigError
from hrfs.reporting import read_slices

ROOT = Path(__file__).resolve().parents[2]
MODEL = {
    "_target_": "hrfs.training.module.ImageClassifier",
    "network": "small_resnet",
    "width": 4,
    "num_classes": 10,
    "channels": 1,
}
DATASET = {"_target_": "hrfs.training.data.ImageData", "name": "digits"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run of four trials."""
    return write_run(tmp_path / "run", changes={"model": MODEL, "dataset": DATASET})


def export(folder: Path, name: str = "winner", **changes: Any) -> dict[str, Any]:
    """Leave the weights of a network in ``folder`` as the end of a run does."""
    import torch

    from hrfs.training.export import export_weights
    from hrfs.training.module import ImageClassifier

    torch.manual_seed(5)
    arguments = {key: value for key, value in MODEL.items() if key != "_target_"}
    module = ImageClassifier(**{**arguments, **changes})
    export_weights(module, folder / f"{name}.safetensors")
    return module.state_dict()


def test_import_is_light() -> None:
    code = (
        "import sys, hrfs; heavy = {'torch', 'pandas', 'ray', 'numpy', 'hydra', 'yaml'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert hrfs.load_run.__module__ == 'hrfs.loading'\n"
        "assert not {'torch', 'ray', 'hydra'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT, timeout=60)


def test_unknown_names_are_refused() -> None:
    with pytest.raises(AttributeError, match="module 'hrfs' has no attribute 'lode_run'"):
        _ = hrfs.lode_run


def test_frames_say_what_the_files_say(folder: Path) -> None:
    run = hrfs.load_run(str(folder))
    assert run.left_out == ()
    records = read_slices(folder / "slices.csv")
    assert list(run.slices["slice"]) == [record.slice for record in records]
    assert list(run.slices["hp/lr"]) == [record.hyperparameters["lr"] for record in records]
    assert list(run.slices["val/loss"]) == [record.metrics["val/loss"] for record in records]
    parents = run.slices["parent"]
    assert str(parents.dtype) == "Int64"
    told = {row: record.parent for row, record in enumerate(records) if record.parent is not None}
    assert dict(parents.dropna().items()) == told
    assert len(told) == 1
    assert run.slices["score"].isna().sum() == 1  # the one that diverged
    assert run.summary == json.loads((folder / "summary.json").read_text())
    assert run.config["model"] == MODEL
    iterations = (run.slices["to_iteration"] - run.slices["from_iteration"]).groupby(
        run.slices["trial"]
    )
    assert list(run.trials["iterations"]) == list(iterations.sum()) == [40] * 4
    winner = run.trials.set_index("trial").loc[run.summary["winner"]["trial"]]
    assert winner["last_score"] == run.summary["winner"]["score"]
    assert winner["hp/lr"] == run.summary["winner"]["hyperparameters"]["lr"]
    changed = run.trials[run.trials["exploits_taken"] == 1].iloc[0]
    assert changed["hyperparameters"][0][0] == 0
    assert len(changed["hyperparameters"]) == 2
    assert changed["hp/momentum"] == changed["hyperparameters"][-1][1]["momentum"] == 0.9


def test_a_run_that_was_killed(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "summary.json").unlink()
    file = folder / "slices.csv"
    lines = file.read_bytes().splitlines(keepends=True)
    file.write_bytes(b"".join(lines[:6]) + lines[6][:20])
    with caplog.at_level(logging.WARNING, "hrfs"):
        run = hrfs.load_run(folder)
    assert len(run.slices) == 5
    assert run.summary is None
    assert run.left_out == (
        "it has no summary.json, so it was killed or is still running",
        "1 truncated line at the end of slices.csv is left out",
    )
    assert caplog.messages == [f"{folder}: {line}" for line in run.left_out]
    assert run.config["dataset"] == DATASET
    with pytest.raises(ConfigError, match=r"^run=.*: has no winner yet: it has no summary.json, "):
        run.module()


@pytest.mark.parametrize("header", [None, "", "slice,trial,wor"])
def test_a_run_that_has_only_just_begun(tmp_path: Path, header: str | None) -> None:
    folder = write_start(tmp_path)
    if header is not None:
        (folder / "slices.csv").write_text(header)
    run = hrfs.load_run(folder)
    assert run.left_out[1:] == ("there is no slice in slices.csv yet", "there is no trials.csv yet")
    assert len(run.slices) == len(run.trials) == 0
    assert list(run.slices.columns[:7]) == [
        "slice", "trial", "worker", "start_s", "end_s", "from_iteration", "to_iteration"
    ]  # fmt: skip
    assert list(run.trials.columns[:2]) == ["trial", "seed"]


def test_a_folder_of_slices_alone(folder: Path, tmp_path: Path) -> None:
    alone = tmp_path / "simulated"
    alone.mkdir()
    (alone / "slices.csv").write_bytes((folder / "slices.csv").read_bytes())
    run = hrfs.load_run(alone)
    assert run.config == {}
    assert len(run.slices) == len(hrfs.load_run(folder).slices)


def test_a_run_that_failed_says_why(tmp_path: Path) -> None:
    folder = write_start(tmp_path)
    (folder / "failure.json").write_text(json.dumps({"reason": "ValueError: no", "traceback": ""}))
    assert hrfs.load_run(folder).left_out[0] == "it failed: ValueError: no"


def _one_line(path: Path, pattern: str) -> None:
    with pytest.raises(ConfigError, match=pattern) as caught:
        hrfs.load_run(path)
    assert "\n" not in str(caught.value)


def test_what_is_no_run(tmp_path: Path, folder: Path) -> None:
    _one_line(tmp_path / "none", r"^run=.*/none: there is no such folder; give the folder of a run")
    (tmp_path / "empty").mkdir()
    _one_line(tmp_path / "empty", r"^run=.*/empty: holds no run; give the folder of a run$")
    _one_line(tmp_path, r"holds no run; give one of its runs, such as run$")
    _one_line(folder / "slices.csv", r"slices\.csv: there is no such folder")


def test_a_newer_run(folder: Path) -> None:
    summary = folder / "summary.json"
    summary.write_text(json.dumps({**json.loads(summary.read_text()), "format": 99}))
    _one_line(folder, r"is of format 99, and this hrfs reads those up to 1; use the hrfs that")
    summary.unlink()
    (folder / "trials").mkdir()
    header = {"format": 99, "hrfs": "9.0", "settings": {}}
    log = folder / "trials" / "hrfs-events.jsonl"
    log.write_text(json.dumps(header) + '\n{"event": "of the future"}\n')
    _one_line(folder, r"^run=.*jsonl: is in format 99, and this hrfs reads up to 1; use hrfs 9.0$")
    log.write_text(json.dumps(header)[:10])
    assert hrfs.load_run(folder).summary is None


@pytest.mark.parametrize(
    ("file", "content", "pattern"),
    [
        ("slices.csv", "a,b\n1,2\n", "is no slices.csv: its first line must begin with"),
        ("trials.csv", "a,b\n1,2\n", r"^trials=.*is no trials.csv of a run \(KeyError"),
        ("trials.csv", "", r"^trials=.*is no trials.csv of a run"),
        ("trials.csv", "\x00\udcff", r"^trials=.*cannot be read as a table"),
    ],
)
def test_damaged_files(folder: Path, file: str, content: str, pattern: str) -> None:
    (folder / file).write_bytes(content.encode(errors="surrogateescape"))
    _one_line(folder, pattern)


@pytest.mark.parametrize(
    ("content", "pattern"),
    [("[", "^config=.*cannot be read: "), ("- 1\n", "is not the configuration of a run")],
)
def test_a_damaged_configuration_of_an_unfinished_run(
    folder: Path, content: str, pattern: str
) -> None:
    (folder / "summary.json").unlink()
    (folder / "config.yaml").write_text(content)
    _one_line(folder, pattern)


@pytest.mark.torch
def test_the_winner_is_built_with_its_weights(folder: Path) -> None:
    import torch

    weights = export(folder)
    run = hrfs.load_run(folder)
    state = torch.get_rng_state()
    module = run.module()
    assert torch.equal(torch.get_rng_state(), state)
    assert not module.training
    assert module.state_dict().keys() == weights.keys()
    assert all(torch.equal(module.state_dict()[name], weights[name]) for name in weights)
    assert module.hparams["lr"] == run.summary["winner"]["hyperparameters"]["lr"]


@pytest.mark.torch
def test_the_winner_of_one_of_several_populations(tmp_path: Path) -> None:
    import torch

    changes = {"model": MODEL, "dataset": DATASET}
    folder = write_run(tmp_path / "run", seeds=[1, 2], changes=changes)
    export(folder)
    weights = export(folder, "winner_seed2")
    run = hrfs.load_run(folder)
    told = run.summary["populations"][1]["winner"]
    module = run.module(seed=2)
    assert module.hparams["lr"] == told["hyperparameters"]["lr"]
    assert torch.equal(next(module.parameters()), next(iter(weights.values())))
    with pytest.raises(
        ConfigError, match=r"^seed=3: is of no population of this run; it has 1, 2$"
    ):
        run.module(seed=3)


@pytest.mark.torch
def test_a_winner_that_cannot_be(folder: Path) -> None:
    run = hrfs.load_run(folder)
    with pytest.raises(ConfigError, match=r"^seed=3: .*it has one alone, so leave seed out$"):
        run.module(seed=3)
    with pytest.raises(ConfigError, match=r"^winner=.*winner.safetensors: there is no such file"):
        run.module()
    export(folder, width=8)
    with pytest.raises(ConfigError, match=r"cannot be read: .*expected weights of ImageClassifier"):
        run.module()
    (folder / "winner.safetensors").write_bytes(b"\x80\x04N.")
    with pytest.raises(ConfigError, match=r"cannot be read: .*expected safetensors, found"):
        run.module()


@pytest.mark.torch
@pytest.mark.parametrize(
    ("changes", "pattern"),
    [
        ({"model": {"_target_": "os.system"}}, "standard library, which no configuration may"),
        ({"model": {"_target_": "runs_play.Unlike"}}, "is in none of the allowed packages"),
        ({"model": {"_target_": "absent.Net"}, "allowed_targets": ["absent."]}, "cannot be impor"),
        ({"model": None}, "^model._target_=None: must name a class"),
        ({"allowed_targets": "runs_play."}, "^allowed_targets=runs_play.: must be a list of names"),
    ],
)
def test_what_a_configuration_may_not_name(
    folder: Path, changes: dict[str, Any], pattern: str
) -> None:
    export(folder)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    (folder / "config.yaml").write_text(yaml.safe_dump(config | changes))
    with pytest.raises(ConfigError, match=pattern):
        hrfs.load_run(folder).module()


@pytest.mark.torch
def test_the_example_of_the_documents(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    changes = {"model": MODEL, "dataset": DATASET}
    export(write_run(tmp_path / "outputs" / "FOLDER", changes=changes))
    text = (ROOT / "docs" / "loading.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```$", text, re.M | re.S)
    monkeypatch.chdir(tmp_path)
    exec(compile(code, "loading.md", "exec"), {"__name__": "example"})
    said = capsys.readouterr().out
    run = hrfs.load_run(tmp_path / "outputs" / "FOLDER")
    assert said.startswith(f"{run.summary['winner']['trial']} {run.summary['winner']['score']} ")
    assert "box-gpu-0" in said
    assert re.search(r"tensor\(\[\d, \d\]\)$", said.strip())
