"""A reader sees all of a file or nothing of it."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest

from hrfs.experiment.files import (
    append,
    create_atomically,
    let_no_others_write,
    make_folder,
    move_into_place,
    sync_folder,
    write_atomically,
)


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
    assert synced == ["old", "new"]  # the file before, its folder after
    assert (tmp_path / "file").read_text() == "new"
    assert _names(tmp_path) == ["file"]


def test_a_new_file_is_created_once(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "file"
    create_atomically(path, "first")
    with pytest.raises(FileExistsError):
        create_atomically(path, "second")
    assert path.read_text() == "first"
    assert _names(path.parent) == ["file"]


@pytest.mark.parametrize(
    ("number", "there"), [(errno.EPERM, True), (errno.ENOSYS, True), (errno.ENOSPC, False)]
)
def test_a_share_without_hard_links_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, there: bool
) -> None:
    def refuse(source: Path, target: Path) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "link", refuse)
    if there:
        create_atomically(tmp_path / "file", "text")
        assert (tmp_path / "file").read_text() == "text"
        with pytest.raises(FileExistsError):
            create_atomically(tmp_path / "file", "other")
    else:
        with pytest.raises(OSError, match="No space left"):
            create_atomically(tmp_path / "file", "text")
    assert _names(tmp_path) == (["file"] if there else [])


def test_appending_cuts_off_what_is_torn(tmp_path: Path) -> None:
    path = tmp_path / "folder" / "log"
    size = append(path, 0, b"one\n", durably=True)
    with path.open("ab") as stream:
        stream.write(b"tor")
    assert append(path, size, b"two\n", durably=True) == 8
    assert path.read_bytes() == b"one\ntwo\n"


def test_what_cannot_be_appended_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "log"
    size = append(path, 0, b"one\n", durably=True)

    def fails(descriptor: int) -> None:
        assert path.read_bytes() == b"one\ntwo\n"
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="Input/output error"):
        append(path, size, b"two\n", durably=True)
    assert path.read_bytes() == b"one\n"


def test_new_folders_and_names_are_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[Path] = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(_path_of(handle)))
    make_folder(tmp_path / "a" / "b")
    assert synced == [tmp_path, tmp_path / "a"]
    append(tmp_path / "a" / "b" / "log", 0, b"one\n", durably=True)
    assert synced[2:] == [tmp_path / "a" / "b" / "log", tmp_path / "a" / "b"]
    make_folder(tmp_path / "a" / "b")
    assert len(synced) == 4


@pytest.mark.parametrize(("number", "raised"), [(errno.EINVAL, False), (errno.EIO, True)])
def test_a_share_that_syncs_no_folders_is_no_fault_and_a_bad_disk_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, raised: bool
) -> None:
    def refuse(handle: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", refuse)
    expected = pytest.raises(OSError, match="Input/output") if raised else nullcontext()
    with expected:
        sync_folder(tmp_path)


def _path_of(handle: int) -> Path:
    return Path(f"/proc/self/fd/{handle}").readlink()


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)
