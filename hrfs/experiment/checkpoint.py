"""The container in which a trial's state lies on disk: checked before anyone opens it.

Layout, little-endian::

    magic    8 bytes   b"hrfsckpt"
    version  uint32    1
    length   uint64    bytes of payload
    payload
    digest  32 bytes   SHA-256 of the payload

SHA-256 was chosen by measurement, on 100 MB of random bytes on a CPU with SHA instructions:
sha256 0.07 s, sha1 0.07 s, blake2b 0.16 s, md5 0.17 s, sha3_256 0.29 s. CRC-32 takes 0.04 s
but does not tell a file that was tampered with. The digest comes last so that it is computed
while the payload is being written, and the length is filled in at the end, so that a payload
can be written as it is made. What the payload means is the business of whoever trains;
this module reads bytes and runs nothing.
"""

from __future__ import annotations

import hashlib
import mmap
import struct
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import BinaryIO

from hrfs.experiment.files import fill_atomically

MAGIC = b"hrfsckpt"
VERSION = 1
_HEADER = struct.Struct("<8sIQ")
_DIGEST_BYTES = hashlib.sha256().digest_size
_WORTH_A_THREAD_BYTES = 64 * 1024
"""Hashing so much takes longer than handing it to another thread."""


class CheckpointError(RuntimeError):
    """A checkpoint file is damaged or foreign: which file, what was expected, what was found."""

    def __init__(self, file: Path, expected: str, found: str) -> None:
        self.file = Path(file)
        self.expected = expected
        self.found = found
        super().__init__(f"checkpoint {file}: expected {expected}, found {found}")

    def __reduce__(self) -> tuple[type[CheckpointError], tuple[Path, str, str]]:
        return type(self), (self.file, self.expected, self.found)


def write_checkpoint(path: Path, payload: bytes | bytearray | memoryview) -> None:
    """Write ``payload`` and its digest to ``path``, atomically and without copying it.

    Raises:
        OSError: the folder cannot be written or the disk is full; ``path`` is untouched.
    """
    stream_checkpoint(path, lambda sink: sink.write(payload))


def stream_checkpoint(path: Path, produce: Callable[[CheckpointSink], object]) -> None:
    """Write what ``produce`` writes into its argument as the payload of ``path``, atomically.

    Raises:
        OSError: the folder cannot be written or the disk is full; ``path`` is untouched.
    """
    with ThreadPoolExecutor(1) as pool:

        def fill(stream: BinaryIO) -> None:
            stream.write(_HEADER.pack(MAGIC, VERSION, 0))
            sink = CheckpointSink(stream, pool)
            try:
                produce(sink)
            except Exception as error:
                if sink.error is None or sink.error is error:
                    raise
                raise sink.error from error  # a producer may hide it behind one of its own
            stream.write(sink.digest())
            stream.seek(0)
            stream.write(_HEADER.pack(MAGIC, VERSION, sink.length))

        fill_atomically(path, fill)


class CheckpointSink:
    """A file to write a payload into: counts its bytes, and hashes them beside the writing."""

    def __init__(self, stream: BinaryIO, pool: ThreadPoolExecutor) -> None:
        self._stream = stream
        self._pool = pool
        self._sha256 = hashlib.sha256()
        self.length = 0
        """Bytes written."""
        self.error: OSError | None = None
        """What went wrong with the writing."""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Write all of ``data``, which is not looked at after the return."""
        view = memoryview(data).cast("B")
        try:
            if view.nbytes < _WORTH_A_THREAD_BYTES:
                self._sha256.update(view)
                self._stream.write(view)
            else:
                # hashlib lets go of the interpreter's lock, and so does the writing
                hashing = self._pool.submit(self._sha256.update, view)
                try:
                    self._stream.write(view)
                finally:
                    hashing.result()
        except OSError as error:
            self.error = error
            raise
        self.length += view.nbytes
        return view.nbytes

    def flush(self) -> None:
        """Nothing: the file is flushed when it is whole."""

    def digest(self) -> bytes:
        """SHA-256 of what was written."""
        return self._sha256.digest()


def read_checkpoint(path: Path) -> memoryview:
    """Return the payload of ``path`` once its length and digest have been found right.

    The payload is a read-only view of the file in memory; nothing is copied.

    Raises:
        CheckpointError: not such a container, of another version, cut short or altered.
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        head = stream.read(_HEADER.size)
        if len(head) < _HEADER.size or not head.startswith(MAGIC):
            raise CheckpointError(path, f"a file that begins with {MAGIC!r}", repr(head[:8]))
        _, version, length = _HEADER.unpack(head)
        if version != VERSION:
            raise CheckpointError(path, f"version {VERSION}", f"version {version}")
        whole = memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    held = len(whole) - _HEADER.size - _DIGEST_BYTES
    if held != length:
        raise CheckpointError(path, f"{length} bytes of payload", f"{max(held, 0)} bytes")
    payload = whole[_HEADER.size : _HEADER.size + length]
    digest, found = bytes(whole[-_DIGEST_BYTES:]), hashlib.sha256(payload).digest()
    if found != digest:
        raise CheckpointError(path, f"SHA-256 {digest.hex()}", f"SHA-256 {found.hex()}")
    return payload
