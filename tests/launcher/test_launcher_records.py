"""Records of jobs: whole or absent, told from each other, and never executed."""

from __future__ import annotations

import json
import math
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from launcher_jobs import Sweep, complete
from omegaconf import OmegaConf

from hydra_plugins.hrfs_ray_tune_launcher._records import (
    Damaged,
    JobRecord,
    config_hash,
    plain_config,
    read_record,
    record_path,
    started,
    write_record,
)
from hydra_plugins.hrfs_ray_tune_launcher._values import NotKeptError, from_json, to_json

CFG = OmegaConf.create({"lr": 0.1, "when": "${now:%H}", "layers": [1, 2], "none": None})


def record(**config: object) -> JobRecord:
    return started("my_app", 3, ["lr=0.1"], OmegaConf.create(config) if config else CFG)


def test_a_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    written = record().ended("COMPLETED", {"acc": 0.5, "parts": [1, None, "x"]})
    write_record(tmp_path, written)
    assert (tmp_path / ".hydra" / "job_3.json").is_file()
    assert read_record(tmp_path, 3) == written
    assert written.value() == {"acc": 0.5, "parts": [1, None, "x"]}
    assert (written.value_kept, written.reason, written.status) == (True, "", "COMPLETED")


def test_another_jobs_record_is_not_read(tmp_path: Path) -> None:
    write_record(tmp_path, record())
    assert read_record(tmp_path, 4) is None
    assert read_record(tmp_path / "nowhere", 3) is None


def test_the_end_replaces_the_start(tmp_path: Path) -> None:
    write_record(tmp_path, record())
    begun = read_record(tmp_path, 3)
    assert isinstance(begun, JobRecord)
    assert (begun.status, begun.value_kept) == ("STARTED", False)
    write_record(tmp_path, begun.ended("FAILED", reason="ValueError: no\n  such file"))
    ended = read_record(tmp_path, 3)
    assert isinstance(ended, JobRecord)
    assert (ended.status, ended.reason) == ("FAILED", "ValueError: no such file")
    assert [path.name for path in (tmp_path / ".hydra").iterdir()] == ["job_3.json"]


@pytest.mark.parametrize(
    ("subdir", "place"), [(None, ".hydra_job_3.json"), ("own/hydra", "own/hydra/job_3.json")]
)
def test_the_place_follows_hydras_own(tmp_path: Path, subdir: str | None, place: str) -> None:
    write_record(tmp_path, record(), subdir)
    assert (tmp_path / place).is_file()
    assert isinstance(read_record(tmp_path, 3, subdir), JobRecord)
    assert len(list(tmp_path.rglob("*job_*.json"))) == 1


def test_a_failed_write_leaves_the_old_record(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_record(tmp_path, record())

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_record(tmp_path, record().ended("COMPLETED", 1))
    found = read_record(tmp_path, 3)
    assert isinstance(found, JobRecord)
    assert found.status == "STARTED"
    assert [path.name for path in (tmp_path / ".hydra").iterdir()] == ["job_3.json"]


class Bomb:
    """Makes a file when it is unpickled."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (str(self.mark),)


def test_a_malicious_record_runs_nothing(tmp_path: Path) -> None:
    mark = tmp_path / "exploded"
    path = record_path(tmp_path, ".hydra", 3)
    path.parent.mkdir()
    path.write_bytes(pickle.dumps(Bomb(mark)))
    assert isinstance(read_record(tmp_path, 3), Damaged)
    good = json.loads(record().ended("COMPLETED", 1).model_dump_json())
    for value in (
        {"py/object": "os.system", "py/reduce": [f"mkdir {mark}"]},
        {"_target_": "os.mkdir", "path": str(mark)},
        f"!!python/object/apply:os.mkdir ['{mark}']",
    ):
        path.write_text(json.dumps({**good, "return_value": value}))
        found = read_record(tmp_path, 3)
        assert isinstance(found, JobRecord)
        assert found.value() == value
    assert not mark.exists()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"status": "DONE"}, "status: Input should be 'STARTED', 'COMPLETED' or 'FAILED'"),
        ({"job_num": 4}, "it is that of job 4"),
        ({"job_num": "3"}, "job_num: Input should be a valid integer"),
        ({"job_num": -1}, "job_num: Input should be greater than or equal to 0"),
        ({"format": 2}, "format: Input should be 1"),
        ({"more": 1}, "more: Extra inputs are not permitted"),
        ({"overrides": "lr=1"}, "overrides: Input should be a valid array"),
        ({"config": {"lr": 0.2}}, "its configuration does not have its fingerprint"),
        ({"return_value": {"__tuple__": 3}}, "has a form that is never written"),
        ({"return_value": {"__float__": "1"}}, "has a form that is never written"),
    ],
)
def test_a_changed_record_is_damaged(tmp_path: Path, change: dict[str, object], told: str) -> None:
    path = record_path(tmp_path, ".hydra", 3)
    write_record(tmp_path, record().ended("COMPLETED", 1))
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))
    found = read_record(tmp_path, 3)
    assert isinstance(found, Damaged)
    assert told in found.reason
    assert found.path == path


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b"[" * 100_000, b'{"job_num": 1e999}']
)
def test_what_is_no_record_is_damaged(tmp_path: Path, content: bytes) -> None:
    path = record_path(tmp_path, ".hydra", 3)
    path.parent.mkdir()
    path.write_bytes(content)
    assert isinstance(read_record(tmp_path, 3), Damaged)


def test_a_torn_record_is_damaged(tmp_path: Path) -> None:
    write_record(tmp_path, record().ended("COMPLETED", 1))
    path = record_path(tmp_path, ".hydra", 3)
    whole = path.read_bytes()
    for size in range(0, len(whole) - 2, 7):
        path.write_bytes(whole[:size])
        assert isinstance(read_record(tmp_path, 3), Damaged)


def test_a_folder_in_its_place_is_damaged(tmp_path: Path) -> None:
    record_path(tmp_path, ".hydra", 3).mkdir(parents=True)
    found = read_record(tmp_path, 3)
    assert isinstance(found, Damaged)
    assert found.reason == "it is not a file"


# Return values.

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=12,
)


def alike(one: object, other: object) -> bool:
    """Equal in value and type all the way down, NaN being equal to itself."""
    if type(one) is not type(other):
        return False
    if isinstance(one, float) and isinstance(other, float):
        return one == other or (math.isnan(one) and math.isnan(other))
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    return one == other


@settings(max_examples=60)
@given(JSON)
def test_a_value_comes_back_as_it_was(value: object) -> None:
    assert alike(from_json(json.loads(json.dumps(to_json(value), allow_nan=False))), value)


@pytest.mark.parametrize("scalar", [np.float32(0.5), np.float64(0.5), np.array(0.5)])
def test_an_array_scalar_comes_back_as_a_number(scalar: object) -> None:
    assert alike(from_json(to_json([scalar])), [0.5])


def circle() -> list[object]:
    ring: list[object] = []
    ring.append(ring)
    return ring


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (object(), "it has a object"),
        ([1, {2, 3}], "it has a set"),
        ({1: 2}, "a key that is no text (1)"),
        ({"__tuple__": [1]}, "the key __tuple__"),
        (np.zeros(2), "it has a ndarray"),
        (np.datetime64("2026-01-01"), "it has a datetime64"),
        (b"bytes", "it has a bytes"),
        ("\ud800", "text that is not Unicode"),
        (Path("x"), "it has a PosixPath"),
        ([10**5000], "integer string conversion"),
        (circle(), "nested too deeply"),
        (OmegaConf.create({}), "it has a DictConfig"),
    ],
)
def test_a_value_that_json_cannot_hold_is_not_kept(value: object, told: str) -> None:
    with pytest.raises(NotKeptError) as error:
        to_json(value)
    assert told in str(error.value)
    ended = record().ended("COMPLETED", value)
    assert (ended.status, ended.value_kept, ended.value()) == ("COMPLETED", False, None)
    assert told in ended.reason


# The configuration and its fingerprint.


def test_the_fingerprint_knows_neither_time_nor_number(tmp_path: Path) -> None:
    sweep = Sweep(tmp_path)
    hashes = {config_hash(sweep.job(num, "lr=0.5").config) for num in (0, 7)}
    assert len(hashes) == 1
    job = sweep.job(0, "lr=0.5")
    assert config_hash(job.task_config()) in hashes
    assert config_hash(sweep.job(0, "lr=0.6").config) not in hashes
    assert plain_config(job.config)["started"] == "${now:%H-%M-%S-%f}"
    assert "hydra" not in plain_config(job.config)


def test_a_task_that_edits_its_config_does_not_change_the_record(tmp_path: Path) -> None:
    job = Sweep(tmp_path).job(0)
    before = job.record()
    job.task_config().lr = 9.0
    assert job.record().config_hash == before.config_hash


def test_no_secret_of_the_environment_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TOKEN", "s3cret")
    job = Sweep(tmp_path, extra="token: ${oc.env:TOKEN}\n").job(0)
    assert job.config.token == "s3cret"
    complete(job, 1)
    assert "s3cret" not in record_path(job.folder, job.output_subdir, 0).read_text()


def test_text_that_is_not_unicode_is_escaped(tmp_path: Path) -> None:
    strange = started("app\udce9", 3, ["name=\udce9"], OmegaConf.create({"name": "\udce9"}))
    write_record(tmp_path, strange)
    found = read_record(tmp_path, 3)
    assert isinstance(found, JobRecord)
    assert found.overrides == ("name=\\udce9",)
    assert found.config_hash == strange.config_hash


def test_what_yaml_holds_and_json_does_not_is_text() -> None:
    config = OmegaConf.create({"nan": math.nan, "path": Path("a"), "raw": b"x", 3: "three"})
    plain = plain_config(config)
    assert plain == {"nan": "nan", "path": "a", "raw": "b'x'", "3": "three"}
