"""Running the command line inside the test process, and putting back what it changes."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hrfs.cli.main import main


@pytest.fixture(autouse=True)
def _restore_logging() -> Iterator[None]:
    """Hydra configures the root logger for the run; close what it opened."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    for handler in root.handlers:
        if handler not in handlers:
            handler.close()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)


CommandLine = Callable[..., tuple[int, str, str]]


@pytest.fixture
def hrfs_main(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> CommandLine:
    """Call ``main`` in a folder of its own; gives exit code, standard output and error."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str) -> tuple[int, str, str]:
        before = dict(os.environ)
        with pytest.raises(SystemExit) as exit_info:
            main(arguments)
        assert dict(os.environ) == before
        printed = capsys.readouterr()
        code = exit_info.value.code
        assert isinstance(code, int)
        return code, printed.out, printed.err

    return call
