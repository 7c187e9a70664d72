"""Imports go uncollected, and no more processes start at once than the machine has places."""

from __future__ import annotations

import gc
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hrfs.experiment import process_start
from hrfs.experiment.process_start import import_in_turn, in_turn, without_collecting

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _own_places(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Places of no other process."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))


def test_the_collector_rests_and_goes_on() -> None:
    assert gc.isenabled()
    with pytest.raises(ModuleNotFoundError), without_collecting():
        import no_such_module_gc_is_off  # type: ignore[import-not-found]  # noqa: F401
    assert gc.isenabled()
    with without_collecting():
        assert not gc.isenabled()


def test_a_collector_that_was_off_stays_off() -> None:
    gc.disable()
    try:
        with without_collecting():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_there_are_as_many_places_as_there_are_said_to_be() -> None:
    places = in_turn(0.0, places=2), in_turn(0.0, places=2), in_turn(0.05, places=2)
    with places[0] as first, places[1] as second, places[2] as third:
        assert (first, second, third) == (True, True, False)
    with in_turn(0.0, places=2) as again:
        assert again


def test_where_locks_cannot_be_had_it_starts_at_once(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "file"))
    began_s = time.monotonic()
    with in_turn(within_s=60.0) as held:
        assert not held
    assert time.monotonic() - began_s < 30.0


def test_the_place_of_a_process_that_was_killed_is_free(tmp_path: Path) -> None:
    code = (
        "import sys, tempfile; tempfile.tempdir = sys.argv[1]\n"
        "from hrfs.experiment.process_start import in_turn\n"
        "with in_turn(places=1):\n    print('in', flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as other:  # fmt: skip
        assert other.stdout is not None
        assert other.stdout.readline() == b"in\n"
        with in_turn(0.05, places=1) as beside:
            assert not beside
        other.kill()
        other.wait()
        with in_turn(5.0, places=1) as after:
            assert after


def test_what_is_there_already_waits_for_no_turn(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    taken: list[bool] = []

    @contextmanager
    def noted() -> Iterator[bool]:
        taken.append(True)
        yield True

    monkeypatch.setattr(process_start, "in_turn", noted)
    (tmp_path / "not_there_yet.py").write_text("import gc\nOFF = not gc.isenabled()\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    import_in_turn("gc", "sys")
    assert taken == []
    import_in_turn("gc", "not_there_yet")
    assert len(taken) == 1
    assert sys.modules.pop("not_there_yet").OFF
