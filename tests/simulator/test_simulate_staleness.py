"""``scheduler.max_staleness`` of the simulator's command."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from hrfs import simulate

INTERVAL = 50


@pytest.fixture
def given(tmp_path: Path) -> str:
    workers = [{"name": f"w{i}", "seconds_per_iteration": 10.0**i} for i in range(3)]
    file = tmp_path / "spec.json"
    spec = {"trials": 3, "stop_iteration": 500, "interval": INTERVAL, "workers": workers}
    file.write_text(json.dumps(spec))
    return f"workload={file}"


def test_the_spread_stays_within_the_limit(given: str, capsys: pytest.CaptureFixture[str]) -> None:
    def largest_spread(*arguments: str) -> float:
        simulate.main([given, "scheduler=hrfs", "format=json", *arguments])
        spread = json.loads(capsys.readouterr().out)["largest_spread_iterations"]
        assert isinstance(spread, int | float)
        return spread

    assert largest_spread() > 60
    assert largest_spread("scheduler.max_staleness=60") <= 60


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["scheduler.max_staleness=49"],
         "scheduler.max_staleness=49: must be at least the workload's interval, which is 50"),
        (["scheduler.max_staleness=x"],
         "scheduler.max_staleness=x: must be a whole number, at least 0, of at most 18 digits"),
        (["scheduler=greedy", "scheduler.max_staleness=100"],
         "scheduler.max_staleness=100: is for scheduler=hrfs alone; the other rules know no such "
         "limit; leave it out"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_told_in_one_line(
    given: str, arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        simulate.main([given, *arguments])
    assert caught.value.code == 2
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", f"hrfs.simulate: {line}\n")
