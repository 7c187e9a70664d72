"""``trainer.*=auto``: what is chosen, by what, and that nothing of the trial is touched."""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training_helpers import WORKER, request, same, settings

from hrfs.experiment.errors import ConfigError
from hrfs.training import decision, probe_steps
from hrfs.training.devices import CPU
from hrfs.training.probe import MARGIN, changes_for, choose
from hrfs.training.probe_steps import StepMeter, same_randomness
from hrfs.training.runner import LightningSliceRunner, build
from hrfs.training.settings import TrainerSettings
from hrfs.training.state import TrialState, load_state

pytestmark = pytest.mark.torch

ALL_AUTO = TrainerSettings(precision="auto", channels_last="auto", compile="auto")
CHANGES = ({"channels_last": False}, {"precision": "bf16-mixed"}, {"compile": "default"})
HALF = {"precision": "auto"}


def speeds(*faster: str) -> Callable[[TrainerSettings], float]:
    """A clock by which 1 s becomes half of what it was with each of these changes."""

    def step_s(trainer: TrainerSettings) -> float:
        changed = {
            "contiguous": not trainer.channels_last,
            "bf16": trainer.precision == "bf16-mixed",
            "compile": trainer.compile == "default",
        }
        factors = [0.5 if name in faster else 1.05 for name, on in changed.items() if on]
        return float(np.prod(factors))

    return step_s


@pytest.fixture
def modern(monkeypatch: pytest.MonkeyPatch) -> None:
    """A CPU with instructions for bfloat16, whatever the machine of the tests has."""
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX512")


class TestChoice:
    def test_what_is_faster_is_taken_and_what_is_not_is_left(self) -> None:
        chosen, tried = choose(ALL_AUTO, CHANGES, speeds("bf16"))
        assert chosen.choice == {
            "precision": "bf16-mixed",
            "channels_last": True,
            "compile": False,
        }
        assert [one.step_s for one in tried] == [1.0, 1.05, 0.5, 0.525]
        assert choose(ALL_AUTO, CHANGES, speeds())[0].choice["precision"] == "32-true"
        every = choose(ALL_AUTO, CHANGES, speeds("contiguous", "bf16", "compile"))[0]
        assert every.choice == {
            "precision": "bf16-mixed",
            "channels_last": False,
            "compile": "default",
        }

    @pytest.mark.parametrize(("factor", "taken"), [(1.01, True), (0.99, False)])
    def test_a_change_must_be_faster_by_the_margin(self, factor: float, taken: bool) -> None:
        def step_s(trainer: TrainerSettings) -> float:
            return 1.0 if trainer.precision == "32-true" else 1 / (MARGIN * factor)

        chosen, _ = choose(TrainerSettings(precision="auto"), CHANGES, step_s)
        assert (chosen.precision == "bf16-mixed") is taken

    def test_what_was_set_is_not_tried(self) -> None:
        asked = TrainerSettings(precision="auto", channels_last=False, compile=True)
        chosen, tried = choose(asked, CHANGES, speeds("bf16", "contiguous", "compile"))
        assert chosen.choice == {"precision": "bf16-mixed", "channels_last": False, "compile": True}
        assert len(tried) == 2

    def test_what_cannot_be_had_is_told_and_left(self) -> None:
        def step_s(trainer: TrainerSettings) -> float:
            if trainer.compile:
                raise RuntimeError("no such header\nin file x")
            return 1.0

        chosen, tried = choose(ALL_AUTO, CHANGES, step_s)
        assert chosen.compile is False
        assert tried[-1].to_dict()["failed"] == "no such header"
        assert "step_s" not in tried[-1].to_dict()

    def test_a_step_that_cannot_be_done_at_all_is_an_error(self) -> None:
        def step_s(trainer: TrainerSettings) -> float:
            raise RuntimeError("shapes differ")

        with pytest.raises(RuntimeError, match="shapes differ"):
            choose(ALL_AUTO, CHANGES, step_s)

    def test_without_a_compiler_none_is_tried(
        self, modern: None, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert {"compile": "default"} in changes_for(CPU)
        monkeypatch.setenv("CXX", "no-such-compiler")
        assert changes_for(CPU) == [{"channels_last": False}, {"precision": "bf16-mixed"}]

    def test_bfloat16_is_not_tried_where_it_is_known_to_be_slow(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: "AVX2")
        assert {"precision": "bf16-mixed"} not in changes_for(CPU)


def state_of(runner: LightningSliceRunner, folder: Path) -> TrialState:
    runner.save(folder / "state_of")
    return load_state(folder / "state_of")


def assert_equal(left: TrialState, right: TrialState) -> None:
    assert left.optimizer_states
    for name in ("state_dict", "optimizer_states", "trial", "iteration", "hyper_parameters"):
        assert same(getattr(left, name), getattr(right, name)), name


class Bench:
    """Stands for the meter of the runner: notes what it is asked, and tells what it is told."""

    def __init__(self, step_s: Callable[[TrainerSettings], float]) -> None:
        self.asked: list[TrainerSettings] = []
        self._step_s = step_s

    def meter(self, *about: Any) -> Callable[[TrainerSettings], float]:
        def step_s(trainer: TrainerSettings) -> float:
            self.asked.append(trainer)
            return self._step_s(trainer)

        return step_s


@pytest.fixture
def bench(modern: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Bench:
    """A clock by which bf16 is faster, and a cache of its own."""
    found = Bench(speeds("bf16"))
    monkeypatch.setattr(decision, "StepMeter", found.meter)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return found


def slice_facts(plain: dict[str, Any]) -> Any:
    runner = build(plain)
    runner.begin(3)
    return runner.run(request(0, 1)).facts


class TestRunner:
    def test_the_probe_leaves_no_trace_in_the_trial(
        self, modern: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Measured in earnest: where 32 bit wins, the trial is bit by bit that of a run in it."""
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        monkeypatch.setattr("hrfs.training.probe.MARGIN", 1e9)
        monkeypatch.setattr(probe_steps, "STRETCH_S", 0.01)
        states = []
        for precision in ("32-true", "auto"):
            runner = build(settings(precision=precision, channels_last="auto"))
            runner.begin(3)
            told = runner.run(request(0, 3)).facts
            states.append(state_of(runner, tmp_path))
        assert len(told["probe"]["tried"]) == 3
        assert all(one["step_s"] > 0 for one in told["probe"]["tried"])
        assert_equal(*states)

    @pytest.mark.parametrize(("tick_s", "step_s"), [(1.0, 1.0), (0.125, 0.125 / 4), (20.0, 20.0)])
    def test_steps_are_timed_by_the_clock(self, tick_s: float, step_s: float) -> None:
        """Each look at the clock is a tick later than the last: so long does every fit take."""
        runner = build(settings())
        runner.begin(3)
        runner.run(request(0, 1))
        looks = itertools.count()
        meter = StepMeter(
            runner._module, runner._batches(), request(1, 9), lambda: tick_s * next(looks)
        )
        assert meter(TrainerSettings()) == step_s
        stretches = 1 if tick_s > probe_steps.ENOUGH_S else probe_steps.STRETCHES
        assert next(looks) == 2 * (1 + 1 + stretches)

    def test_random_states_are_given_back(self) -> None:
        def drawn() -> list[float]:
            return [torch.rand(1).item(), np.random.rand(), random.random()]

        torch.manual_seed(1), np.random.seed(1), random.seed(1)
        expected = drawn()
        torch.manual_seed(1), np.random.seed(1), random.seed(1)
        with same_randomness():
            assert drawn() == expected
        assert drawn() == expected

    def test_what_is_chosen_is_trained_by_told_and_asked_for_once(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        auto, plain = build(settings(**HALF)), build(settings(precision="bf16-mixed"))
        for runner in (auto, plain):
            runner.begin(3)
            facts = [runner.run(request(2 * n, 2)).facts for n in range(2)]
            assert facts[0] == facts[1]
            assert facts[0]["trainer"]["precision"] == "bf16-mixed"
        assert len(bench.asked) == 2
        assert_equal(state_of(auto, tmp_path), state_of(plain, tmp_path))

    def test_another_process_finds_it_in_the_cache(self, bench: Bench) -> None:
        first, second = slice_facts(settings(**HALF)), slice_facts(settings(**HALF))
        assert len(bench.asked) == 2
        assert first["probe"]["source"] == "measured"
        assert second["probe"]["source"].endswith(".json")
        assert first["trainer"] == second["trainer"]
        assert first["probe"]["tried"] == second["probe"]["tried"]
        slice_facts(settings(dataset={**settings()["dataset"], "batch_size": 8}, **HALF))
        slice_facts(settings(channels_last="auto", **HALF))
        assert len(bench.asked) == 2 + 2 + 3  # other batches and other questions are measured

    @pytest.mark.parametrize(
        "damage", ["", "{", "[]", '{"format": 1}', '{"format": 99, "conditions": {}}']
    )
    def test_a_damaged_cache_is_measured_again_and_said(
        self, bench: Bench, damage: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        kept = Path(slice_facts(settings(**HALF)) and _only_file())
        whole = kept.read_text()
        kept.write_text(damage)
        told = slice_facts(settings(**HALF))["probe"]
        assert len(bench.asked) == 4
        assert told["source"] == "measured"
        assert f"{kept.name} is damaged" in told["notes"][0]
        assert "measured again" in caplog.text
        assert kept.read_text() == whole

    def test_a_choice_that_cannot_be_is_damage_too(self, bench: Bench) -> None:
        slice_facts(settings(**HALF))
        kept = _only_file()
        kept.write_text(kept.read_text().replace('"precision": "bf16-mixed"', '"precision": "x"'))
        assert "is damaged" in slice_facts(settings(**HALF))["probe"]["notes"][0]

    def test_a_cache_that_cannot_be_written_is_said(
        self, bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
        notes = slice_facts(settings(**HALF))["probe"]["notes"]
        assert "cannot be" in notes[-1]

    def test_a_resumed_run_keeps_what_was_chosen(self, bench: Bench) -> None:
        before = {"precision": "32-true", "channels_last": True, "compile": False}
        plain = {
            **settings(**HALF),
            "chosen": {WORKER.name: {"trainer": before, "probe": {"tried": [1]}}},
        }
        facts = slice_facts(plain)
        assert bench.asked == []
        assert facts["trainer"] == before
        assert facts["probe"]["tried"] == [1]
        assert "resumed" in facts["probe"]["kept"]
        unsaid = {**plain, "chosen": {WORKER.name: {"trainer": {}}}}
        with pytest.raises(ConfigError, match=r"trainer\.precision=auto: what was chosen before"):
            slice_facts(unsaid)


def _only_file() -> Path:
    from hrfs.training.probe_cache import cache_folder

    (file,) = cache_folder().glob("*.json")
    return file
