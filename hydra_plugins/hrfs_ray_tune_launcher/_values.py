"""Return values of jobs as JSON, such that what is read back equals what was returned.

Held: None, booleans, whole numbers, floats (also NaN and infinite ones), text, lists, tuples,
dictionaries with text keys, and NumPy's or PyTorch's scalars, which come back as Python's.
Nothing is pickled, so that reading a record runs no code, whoever wrote it.
"""

from __future__ import annotations

import json
from typing import Any

TUPLE, FLOAT = "__tuple__", "__float__"


class NotKeptError(ValueError):
    """JSON cannot hold the value; the message names the part that it is about."""


def to_json(value: Any) -> Any:
    """The JSON form of a return ``value``.

    Raises:
        NotKeptError: some part of it would not come back as it was.
    """
    try:
        encoded = _encode(value)
        json.dumps(encoded, allow_nan=False)
    except RecursionError:
        raise NotKeptError("it is nested too deeply, or holds itself") from None
    except NotKeptError:
        raise
    except ValueError as error:  # a whole number of more digits than Python converts
        raise NotKeptError(str(error)) from None
    return encoded


def from_json(encoded: Any) -> Any:
    """The value whose JSON form :func:`to_json` gave.

    Raises:
        ValueError: it never gave such a form.
    """
    if isinstance(encoded, list):
        return [from_json(item) for item in encoded]
    if isinstance(encoded, float) and encoded - encoded != 0:
        raise ValueError("the return value has a number that is never written as such")
    if not isinstance(encoded, dict):
        return encoded
    if set(encoded) == {TUPLE} and isinstance(encoded[TUPLE], list):
        return tuple(from_json(item) for item in encoded[TUPLE])
    if set(encoded) == {FLOAT} and encoded[FLOAT] in ("nan", "inf", "-inf"):
        return float(encoded[FLOAT])
    if {TUPLE, FLOAT} & set(encoded):
        raise ValueError("the return value has a form that is never written")
    return {key: from_json(item) for key, item in encoded.items()}


def _encode(value: Any) -> Any:
    kind = type(value)  # exactly: an Enum that is text too would come back as mere text
    if value is None or kind in (bool, int):
        return value
    if kind is float:
        finite = value - value == 0
        return value if finite else {FLOAT: str(value)}
    if kind is str:
        return _text(value)
    if kind is list:
        return [_encode(item) for item in value]
    if kind is tuple:
        return {TUPLE: [_encode(item) for item in value]}
    if kind is dict:
        return {_key(key): _encode(item) for key, item in value.items()}
    if getattr(value, "ndim", None) == 0 and callable(getattr(value, "item", None)):
        return _scalar(value)
    raise NotKeptError(f"it has a {kind.__qualname__}")


def _scalar(array: Any) -> Any:
    number = array.item()
    if type(number) not in (bool, int, float):
        raise NotKeptError(f"it has a {type(array).__qualname__}")
    return _encode(number)


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise NotKeptError("it has text that is not Unicode") from None
    return value


def _key(key: Any) -> str:
    if type(key) is not str:
        raise NotKeptError(f"it has a dictionary with a key that is no text ({key!r:.40})")
    if key in (TUPLE, FLOAT):
        raise NotKeptError(f"it has a dictionary with the key {key}")
    return _text(key)
