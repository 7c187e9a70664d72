"""What disks, crashes and hands do to files."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterator
from typing import Any

from hypothesis import strategies as st
from junk import ODD_NUMBERS, texts, values

ODD = st.sampled_from([*ODD_NUMBERS, None, "", [], {}])
Change = Callable[[bytes, int, bytes], bytes]


def _keep(data: bytes, at: int, other: bytes) -> bytes:
    return data[:at]


def _flip(data: bytes, at: int, other: bytes) -> bytes:
    return data[:at] + bytes(byte ^ (other[0] or 1) for byte in data[at : at + 1]) + data[at + 1 :]


def _insert(data: bytes, at: int, other: bytes) -> bytes:
    return data[:at] + other + data[at:]


def _cut_out(data: bytes, at: int, other: bytes) -> bytes:
    return data[:at] + data[at + len(other) :]


def _repeat(data: bytes, at: int, other: bytes) -> bytes:
    return data[:at] + data[max(0, at - len(other)) :]


def _overwrite(data: bytes, at: int, other: bytes) -> bytes:
    return data[:at] + other + data[at + len(other) :]


CHANGES: list[Change] = [_keep, _flip, _insert, _cut_out, _repeat, _overwrite]


@st.composite
def damaged(draw: st.DrawFn, whole: bytes) -> bytes:
    """``whole``, cut short, flipped, torn, doubled or written over, once or twice."""
    data = whole
    for _ in range(draw(st.integers(1, 2))):
        change = draw(st.sampled_from(CHANGES))
        at = draw(st.integers(0, len(data)))
        data = change(data, at, draw(st.binary(min_size=1, max_size=40)))
    return data


def _places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every container with each of its keys or indices."""
    if isinstance(node, dict | list):
        for key in list(node) if isinstance(node, dict) else range(len(node)):
            yield node, key
            yield from _places(node[key])


@st.composite
def altered(draw: st.DrawFn, whole: Any) -> Any:
    """``whole``, a JSON value, with one to three of its parts replaced, taken out or added."""
    wrapped = [copy.deepcopy(whole)]
    for _ in range(draw(st.integers(1, 3))):
        container, key = draw(st.sampled_from(list(_places(wrapped)) or [(wrapped, 0)]))
        what = draw(st.sampled_from(["replace", "replace", "remove", "add"]))
        if what == "add" and isinstance(container, dict):
            container[draw(texts())] = draw(values())
        elif what == "remove" and container is not wrapped:
            del container[key]
        else:
            container[key] = draw(ODD | values())
    return wrapped[0] if wrapped else None


def as_json(value: Any) -> bytes:
    """As Python writes it: NaN and infinity too."""
    return json.dumps(value, ensure_ascii=False).encode()


DEEP = b"[" * 100_000
LONG_NUMBER = b'{"trials": ' + b"1" * 5000 + b"}"
