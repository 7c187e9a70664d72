"""One TensorBoard event file, written with TensorBoard's own record format and messages.

TensorBoard's package is used directly: tensorboardX imports torch where it finds it (6.7 s
here), and a writer with a thread per file is too much for hundreds of trials.
"""

from __future__ import annotations

import io
import os
import socket
import struct
import time
from pathlib import Path

from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.plugins.text import metadata as text_metadata
from tensorboard.summary.writer.record_writer import RecordWriter

from hrfs.experiment.files import append

_PNG = b"\x89PNG\r\n\x1a\n"
_RGBA = 4


class EventFile:
    """The event file of one run directory; goes on with the newest one that is there.

    Events are kept in memory until :meth:`flush`. A flush that fails keeps them, so that it
    can be called again.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._buffer = io.BytesIO()
        self._records = RecordWriter(self._buffer)
        old = sorted(folder.glob("events.out.tfevents.*"))
        self.goes_on = bool(old)
        """Whether there was a file already, which has what stands at its beginning."""
        if old:
            self.path = old[-1]
            self._size = whole_bytes(self.path)
            return
        now = time.time()
        name = f"events.out.tfevents.{int(now):010d}.{socket.gethostname()}.{os.getpid()}.hrfs"
        self.path = folder / name
        self._size = 0
        self._write(event_pb2.Event(wall_time=now, file_version="brain.Event:2"))

    def scalar(self, tag: str, value: float, step: int, wall_time: float) -> None:
        """One point of a curve (kept as float32, as TensorBoard does)."""
        self.summary(summary_pb2.Summary.Value(tag=tag, simple_value=value), step, wall_time)

    def text(self, tag: str, markdown: str, step: int, wall_time: float) -> None:
        """A piece of Markdown for the Text tab."""
        one = tensor_shape_pb2.TensorShapeProto.Dim(size=1)
        tensor = tensor_pb2.TensorProto(
            dtype=types_pb2.DT_STRING,
            string_val=[markdown.encode()],
            tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=[one]),
        )
        metadata = text_metadata.create_summary_metadata(display_name=tag, description="")
        value = summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)
        self.summary(value, step, wall_time)

    def image(self, tag: str, png: bytes, step: int, wall_time: float) -> None:
        """A picture for the Images tab.

        Raises:
            ValueError: ``png`` is no PNG.
        """
        if not png.startswith(_PNG):
            raise ValueError(f"{tag}: not the bytes of a PNG")
        width, height = struct.unpack(">II", png[16:24])
        drawn = summary_pb2.Summary.Image(
            width=width, height=height, colorspace=_RGBA, encoded_image_string=png
        )
        self.summary(summary_pb2.Summary.Value(tag=tag, image=drawn), step, wall_time)

    def summary(self, value: summary_pb2.Summary.Value, step: int, wall_time: float) -> None:
        """Any summary value, such as those of the HParams tab."""
        summary = summary_pb2.Summary(value=[value])
        self._write(event_pb2.Event(wall_time=wall_time, step=step, summary=summary))

    def _write(self, event: event_pb2.Event) -> None:
        self._records.write(event.SerializeToString())

    def flush(self) -> None:
        """Append what is in memory to the file.

        Raises:
            OSError: the file cannot be written; the events are kept.
        """
        data = self._buffer.getvalue()
        if data:
            self._size = append(self.path, self._size, data)
            self._buffer.seek(0)
            self._buffer.truncate()


def whole_bytes(path: Path) -> int:
    """Bytes of the whole records of an event file: TensorBoard reads nothing behind a torn one.

    A record is its length (uint64, little-endian), 4 bytes of checksum, the data, and 4 more.
    """
    end, total = 0, path.stat().st_size
    with path.open("rb") as stream:
        while True:
            stream.seek(end)
            head = stream.read(8)
            after = end + 16 + int.from_bytes(head, "little")
            if len(head) < 8 or after > total:
                return end
            end = after
