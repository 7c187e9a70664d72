"""A Ray of our own without the servers that nobody asks. Part of :mod:`hrfs.tuning.privates`.

``ray.init`` starts three that only read and show: the dashboard's, also where no dashboard is
wanted, for which it then waits; the autoscaler's, which has nothing to scale; and one that
sends the workers' logs to a driver that does not take them. Each is a Python process that
imports Ray at the very moment at which the run's own processes do. ``ray start`` has switches
for them, ``ray.init`` has none.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray._private import services
from ray._private.node import Node

_NOT_STARTED = (
    (services, "start_api_server", ("", None)),  # as it answers where there is no dashboard
    (Node, "start_monitor", None),
    (Node, "start_log_monitor", None),
)


@contextmanager
def without_onlookers() -> Iterator[None]:
    """``ray.init`` in this block starts what trains, and nothing that watches."""
    before = [(holder, name, getattr(holder, name)) for holder, name, _ in _NOT_STARTED]
    for holder, name, answer in _NOT_STARTED:
        setattr(holder, name, _answering(answer))
    try:
        yield
    finally:
        for holder, name, function in before:
            setattr(holder, name, function)


def _answering(answer: Any) -> Any:
    return lambda *arguments, **named: answer  # noqa: ARG005 - whatever it is asked
