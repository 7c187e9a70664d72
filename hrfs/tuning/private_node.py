"""Our own Ray is joined as soon as it is up. Part of :mod:`hrfs.tuning.privates`.

``ray.init`` asks for the node that it has started by a call that looks once a second. A node
takes a little more than one second to come up, so nearly all of the next went by for nothing.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ray._private import services
from ray._private.state import GlobalState

WITHIN_S = 30.0
"""Ray's own patience; a node that is later is left to its way of giving up."""
_LOOK_EVERY_S = 0.02


@contextmanager
def joined_at_once() -> Iterator[None]:
    """``ray.init`` in this block goes on as soon as its node is registered."""
    asks = services.get_node

    def once_registered(gcs_address: str, node_id: str) -> Any:
        _await_node(gcs_address, node_id)
        return asks(gcs_address, node_id)

    services.get_node = once_registered
    try:
        yield
    finally:
        services.get_node = asks


def _await_node(gcs_address: str, node_id: str) -> None:
    state = GlobalState()
    state._initialize_global_state(services._get_gcs_client_options(gcs_address))
    give_up_s = time.monotonic() + WITHIN_S
    while time.monotonic() < give_up_s:
        if any(node["NodeID"] == node_id for node in state.node_table()):
            return
        time.sleep(_LOOK_EVERY_S)
