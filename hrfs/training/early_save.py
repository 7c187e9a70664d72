"""Writing a trial's state to the disk while the trial is evaluated.

Nothing else is to be done with the state in that time, and the slice ends when both have: its
result is reported with a state that is safe, as ever, and the writing costs next to nothing where
the processor has time to spare, or where the disk is slow.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from hrfs.experiment.slices import PlaceForState
from hrfs.training.state import STATE_KEYS, TrialState, contents_of, write_contents


class EarlySave:
    """One state on its way to one file."""

    def __init__(self, file: Path, state: TrialState) -> None:
        """Take what lies on a GPU to the host, and begin to write.

        What lies on the CPU is not copied: :meth:`is_of` tells whether it has stayed as it was.
        """
        self._file = file
        self._state = state  # so that the addresses in the marks stay taken
        self._marks = _marks_of(state)
        contents = contents_of(state)
        pool = ThreadPoolExecutor(1, thread_name_prefix="hrfs-save")
        self._written: Future[None] = pool.submit(write_contents, file, contents)
        pool.shutdown(wait=False)

    def is_of(self, file: Path, state: TrialState) -> bool:
        """Whether that is what was written, or is being written."""
        return file == self._file and _marks_of(state) == self._marks

    def finish(self) -> None:
        """Wait until the file is safe.

        Raises:
            OSError: the folder cannot be written or the disk is full; there is no file.
        """
        self._written.result()

    def drop(self) -> None:
        """Have no such file, nor its folder if there is nothing else in it."""
        self._written.exception()  # whether or not it went well, nobody wants it
        with contextlib.suppress(OSError):  # it was never made, or there is something else in it
            self._file.unlink(missing_ok=True)
            self._file.parent.rmdir()


class EarlySaves:
    """Those of one runner: none or one at a time."""

    def __init__(self) -> None:
        self._place: PlaceForState | None = None
        self._under_way: EarlySave | None = None

    def expect(self, place: PlaceForState) -> None:
        """See :meth:`~hrfs.experiment.slices.EarlySaver.save_early`."""
        self._place = place

    def begin(self, state: Callable[[], TrialState]) -> None:
        """Begin to write ``state``, if there is a place for it."""
        place, self._place = self._place, None
        file = place() if place is not None else None
        if file is not None:
            self._under_way = EarlySave(file, state())

    def has_written(self, file: Path, state: TrialState) -> bool:
        """Wait until ``file`` is safe, if that is what is being written; else drop what is.

        Raises:
            OSError: the folder cannot be written or the disk is full; there is no file.
        """
        early, self._under_way = self._under_way, None
        if early is None:
            return False
        if not early.is_of(file, state):
            early.drop()
            return False
        early.finish()
        return True

    def drop(self) -> None:
        """Leave nothing behind of one that is under way."""
        early, self._under_way = self._under_way, None
        if early is not None:
            early.drop()

    @contextlib.contextmanager
    def dropped_on_failure(self) -> Iterator[None]:
        """A slice that fails in this block leaves no file, and its place is good for no other."""
        try:
            yield
        except BaseException:
            self.drop()
            raise
        finally:
            self._place = None


def _marks_of(state: TrialState) -> dict[str, Any]:
    return {key: _mark(getattr(state, key)) for key in STATE_KEYS}


def _mark(nested: Any) -> Any:
    """Equal to a later one if nothing in ``nested`` has been changed or replaced in between.

    Torch counts the changes of each tensor. It does not count those by way of ``tensor.data``.
    """
    if isinstance(nested, Tensor):
        if nested.is_inference() or nested.layout is not torch.strided:
            return object()  # nothing is known of its changes
        place = nested.data_ptr(), nested.dtype, nested.device
        return *place, tuple(nested.shape), nested.stride(), nested._version
    if isinstance(nested, dict):
        return {key: _mark(value) for key, value in nested.items()}
    if isinstance(nested, list | tuple):
        return [_mark(value) for value in nested]
    return nested
