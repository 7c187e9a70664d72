"""Exit codes, and what sweepers are given."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from hrfs.cli import compose as composing
from hrfs.experiment.launch import Outcome, Status

CommandLine = Callable[..., tuple[int, str, str]]


def _ends(status: Status, score: float | None = 0.5) -> Outcome:
    return Outcome(status=status, best_trial=0, best_score=score, test_metrics={})


@pytest.mark.parametrize(
    ("status", "code"), [("finished", 0), ("gave up", 1), ("interrupted", 130)]
)
def test_exit_code_tells_how_the_run_ended(
    hrfs_main: CommandLine, monkeypatch: pytest.MonkeyPatch, status: Status, code: int
) -> None:
    monkeypatch.setattr(composing, "run_job", lambda cfg: _ends(status))
    assert hrfs_main() == (code, "", "")


def test_a_job_returns_its_best_score(monkeypatch: pytest.MonkeyPatch) -> None:
    from hydra import compose, initialize_config_dir
    from hydra.core.hydra_config import HydraConfig

    from hrfs.cli import schema
    from hrfs.cli.paths import config_dir

    monkeypatch.setattr(composing, "run_job", lambda cfg: _ends("finished", 0.75))
    schema.register()
    with initialize_config_dir(str(config_dir()), version_base="1.3"):
        cfg = compose("config", ["hydra.mode=RUN"], return_hydra_config=True)
    before = HydraConfig.instance().cfg
    HydraConfig.instance().set_config(cfg)
    try:
        assert composing.Task().run(cfg) == 0.75
    finally:
        HydraConfig.instance().cfg = before


def test_full_errors_on_request(hrfs_main: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The switch of Hydra's that main sets for itself is put back as it was."""
    monkeypatch.setenv("HYDRA_FULL_ERROR", "0")
    assert hrfs_main("population.size=0")[0] == 2
