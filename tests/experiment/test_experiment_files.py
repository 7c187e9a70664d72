"""A reader sees all of a file or nothing of it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from hrfs.experiment.files import let_no_others_write, move_into_place, write_atomically


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("data", ["grüß\n", "grüß\n".encode(), iter([b"gr", "üß\n".encode()])])
def test_text_bytes_and_chunks_are_written(tmp_path: Path, data: str | bytes) -> None:
    path = tmp_path / "new" / "folder" / "file.txt"
    write_atomically(path, data)
    assert path.read_bytes() == "grüß\n".encode()
    assert _names(path.parent) == ["file.txt"]


def test_the_old_content_is_replaced_and_others_may_read_it(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old and longer")
    path.chmod(0o600)
    write_atomically(path, "new")
    assert path.read_text() == "new"
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("error", [OSError("disk full"), KeyboardInterrupt()])
def test_a_crash_in_the_middle_leaves_the_old_content(tmp_path: Path, error: BaseException) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    seen = []

    def chunks() -> Iterator[bytes]:
        yield b"half of the n"
        seen.append(_names(tmp_path))
        raise error

    with pytest.raises(type(error)):
        write_atomically(path, chunks())
    assert len(seen[0]) == 2  # there was a temporary file beside it
    assert _names(tmp_path) == ["file"]
    assert path.read_text() == "old"


def test_the_data_is_on_the_disk_before_it_takes_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("old")

    def power_cut(descriptor: int) -> None:
        assert path.read_text() == "old"
        [temporary] = [p for p in tmp_path.iterdir() if p != path]
        assert temporary.read_text() == "new"  # flushed to the system already
        raise OSError("power cut")

    monkeypatch.setattr(os, "fsync", power_cut)
    with pytest.raises(OSError, match="power cut"):
        write_atomically(path, "new")
    assert path.read_text() == "old"
    assert _names(tmp_path) == ["file"]


def test_a_file_in_the_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "folder").write_text("not a folder")
    with pytest.raises(OSError, match="folder"):
        write_atomically(tmp_path / "folder" / "file", "new")


def test_a_folder_that_refuses_is_an_error_and_stays_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("old")

    def refuse(source: Path, target: Path) -> None:
        raise PermissionError(f"read-only: {target}")

    # By hand, since the modes of a folder do not hold for root.
    monkeypatch.setattr(Path, "replace", refuse)
    with pytest.raises(PermissionError, match="read-only"):
        write_atomically(tmp_path / "file", "new")
    assert _names(tmp_path) == ["file"]
    assert (tmp_path / "file").read_text() == "old"


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("umask")
def test_nothing_new_is_open_to_all_whatever_the_umask(tmp_path: Path) -> None:
    write_atomically(tmp_path / "file", "text")  # before anything is said of the umask
    assert _mode(tmp_path / "file") == 0o644
    let_no_others_write()
    write_atomically(tmp_path / "new" / "deep" / "file", "text")
    (tmp_path / "other").write_text("text")
    assert _mode(tmp_path / "new") == _mode(tmp_path / "new" / "deep") == 0o775
    assert _mode(tmp_path / "other") == 0o664


def test_a_stricter_umask_stays_as_it_is() -> None:
    before = os.umask(0o077)
    try:
        let_no_others_write()
        assert os.umask(before) == 0o077
    finally:
        os.umask(before)


def test_a_file_takes_its_name_only_once_it_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "part").write_text("new")
    (tmp_path / "file").write_text("old")
    synced: list[str] = []

    def fsync(descriptor: int) -> None:
        synced.append((tmp_path / "file").read_text())

    monkeypatch.setattr(os, "fsync", fsync)
    move_into_place(tmp_path / "part", tmp_path / "file")
    assert synced == ["old"]
    assert (tmp_path / "file").read_text() == "new"
    assert _names(tmp_path) == ["file"]


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
