"""The part of a traceback that a user can do something about.

What a slice raises has come up through the user's code, then Lightning, hrfs and Ray: twenty
frames and more before the first line that is the user's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_HEADER = re.compile(r"^\s*(?:Original )?Traceback \(most recent call last\):|^ray::\S*\(")
_RAYS_HEADER = re.compile(r"^ray::.*$")
_HEADER_LINE = "Traceback (most recent call last):"
_FRAME = re.compile(r'^\s+File "(?P<file>[^"]*)", line \d+')
_MARKS = re.compile(r"^\s+[\^~]+$")
_WRAPPING = re.compile(
    r"^<frozen |^python/ray/|/hrfs/(?:experiment|training|tuning)/[^/]+\.py$"
    r"|/(?:site|dist)-packages/"
    r"(?:ray|hrfs|torch|torchmetrics|pytorch_lightning|lightning|lightning_fabric"
    r"|lightning_utilities)/"
    r"|/lib/python3\.\d+/(?!(?:site|dist)-packages/)"
)
"""Files of frames that lead to the user's code; also of hrfs where it is not installed."""


@dataclass(slots=True)
class _Segment:
    """One traceback of a chain: its header, its frames, and what is raised."""

    header: list[str] = field(default_factory=list)
    frames: list[list[str]] = field(default_factory=list)
    rest: list[str] = field(default_factory=list)

    def first_of_user(self) -> int | None:
        """Index of the first frame in the user's own code."""
        for index, frame in enumerate(self.frames):
            found = _FRAME.match(frame[0])
            if found and not _WRAPPING.search(found["file"]):
                return index
        return None

    def lines(self, begin: int) -> list[str]:
        """Header, frames from ``begin`` on, and what is raised."""
        left_out = [f"  [{begin} frames of hrfs, Lightning and Ray left out]"] if begin else []
        kept = [line for frame in self.frames[begin:] for line in frame]
        return [*self.header, *left_out, *kept, *self.rest]


def plain_text(text: str) -> str:
    """``text`` without the colours that Ray puts into tracebacks."""
    return _COLOUR.sub("", text).strip()


def users_part(text: str) -> str:
    """A traceback without the frames before the first one of the user's own code.

    Of chained exceptions each is cut by itself. All that the user's code called stays. If no
    frame is the user's, the whole ``text`` is returned; if there is no frame, nothing is.
    """
    segments = _split(text)
    begins = [segment.first_of_user() for segment in segments]
    if not any(segment.frames for segment in segments):
        return ""
    if all(begin is None for begin in begins):
        return text
    cut = [
        segment.lines(len(segment.frames) if begin is None else begin)
        for segment, begin in zip(segments, begins, strict=True)
    ]
    return "\n".join(line for lines in cut for line in lines)


def _split(text: str) -> list[_Segment]:
    segments = [_Segment()]
    for line in text.splitlines():
        last = segments[-1]
        if _is_stray(line, last):
            continue
        if _HEADER.match(line):
            segments.append(_Segment(header=[_RAYS_HEADER.sub(_HEADER_LINE, line)]))
        elif last.rest or not last.header:
            last.rest.append(line)
        elif _FRAME.match(line):
            last.frames.append([line])
        elif last.frames and line.startswith("  "):  # the line of code, and what marks it
            last.frames[-1].append(line)
        else:
            last.rest.append(line)
    return segments


def _is_stray(line: str, last: _Segment) -> bool:
    """Whether these are marks below a line that is not there: Ray leaves out frames of its own."""
    if not last.header or last.rest or not _MARKS.match(line):
        return False
    return not last.frames or len(last.frames[-1]) != 2
