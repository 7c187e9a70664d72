"""Nothing reads a file in a way that could run what is in it, but for what is listed here."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
from unpickling import ROOT, risky_calls

REVIEWED = {
    # The user's own words, and what earlier runs wrote: CSafeLoader, or SafeLoader where
    # PyYAML was built without C. Both make plain values alone.
    "hrfs/reporting/runs_files.py: yaml.load": 2,
    # CIFAR's files: after their MD5 was compared (unless dataset.checksums=none), and by an
    # unpickler whose find_class gives numpy's array and dtype, and refuses every other name.
    "hrfs/training/sources/cifar.py: pickle.Unpickler": 1,
    # Checkpoints, after their SHA-256 was compared: weights_only=True, as a test below sees.
    "hrfs/training/state.py: torch.load": 1,
    # Tune's Trainable.restore unpickles a file of one name. Ours refuses a checkpoint that has
    # it, and only then calls Tune's (tests/tuning/test_tuning_no_pickles.py).
    "hrfs/tuning/trainable.py: self.restore": 1,
    "hrfs/tuning/trainable.py: ?.restore": 1,
    # Bytes that came through Ray from the driver or the worker of this very launch, as Ray's
    # own arguments and results do; never a file. Whoever can put them there has Ray's token.
    "hydra_plugins/hrfs_ray_tune_launcher/_outcome.py: pickle.loads": 3,
    "hydra_plugins/hrfs_ray_tune_launcher/_worker.py: pickle.loads": 2,
}
"""Each use, how often, and why it is safe."""


def test_every_use_has_been_reviewed() -> None:
    assert risky_calls() == REVIEWED, "say here why a new use is safe, or read without unpickling"


def test_checkpoints_are_read_as_weights_only() -> None:
    tree = ast.parse((ROOT / "hrfs" / "training" / "state.py").read_text())
    loads = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and "load" in ast.unparse(n.func)]
    (call,) = [n for n in loads if ast.unparse(n.func) == "torch.load"]
    assert {k.arg: ast.unparse(k.value) for k in call.keywords}["weights_only"] == "True"


@pytest.mark.parametrize(
    ("code", "name"),
    [
        ("import pickle\npickle.loads(b'')", "pickle.loads"),
        ("import pickle as p\np.load(f)", "pickle.load"),
        ("from pickle import loads as read\nread(b'')", "pickle.loads"),
        ("from ray import cloudpickle\ncloudpickle.load(f)", "ray.cloudpickle.load"),
        ("import ray\nray.cloudpickle.loads(b'')", "ray.cloudpickle.loads"),
        ("import pickle\nlist(map(pickle.loads, parts))", "pickle.loads"),
        ("from pickle import Unpickler\nclass Mine(Unpickler): ...", "pickle.Unpickler"),
        ("import torch\ntorch.load(f, weights_only=True)", "torch.load"),
        ("import numpy as np\nnp.load(f)", "numpy.load"),
        ("from yaml import load\nload(f)", "yaml.load"),
        ("eval('1')", "eval"),
        ("Net.load_from_checkpoint(f)", "Net.load_from_checkpoint"),
        ("tune.Tuner.restore(path)", "tune.Tuner.restore"),
    ],
)
def test_a_new_use_is_seen(tmp_path: Path, code: str, name: str) -> None:
    (tmp_path / "hrfs").mkdir()
    (tmp_path / "hrfs" / "new.py").write_text(f"{code}\n")
    assert risky_calls(tmp_path) == {f"hrfs/new.py: {name}": 1}


def test_what_is_harmless_is_not_seen(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text(
        "import json, pickle, re, yaml\njson.load(f)\npickle.dumps(1)\nyaml.safe_load(f)\n"
        "re.compile('a')\nmodel.eval()\nsafetensors.torch.load_file(f)\n"
    )
    assert risky_calls(tmp_path) == {}
