"""Bringing an optimizer's saved state back, wherever the trial was trained before."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

IMPLEMENTATION_KEYS = ("foreach", "fused")
"""How a step is computed, not what: that is this version's and this device's business."""


def restore_optimizer(optimizer: Optimizer, state: Mapping[str, Any]) -> None:
    """Give a new ``optimizer`` the saved ``state``; its parameters are on their device already.

    It keeps its own implementation. What it remembers of a parameter (momentum) gets the
    parameter's memory order, for the saved one may come from a worker with another: values stay
    bit by bit, and fused kernels go through both in the order in which they lie.
    """
    own = [
        {k: group[k] for k in IMPLEMENTATION_KEYS if k in group} for group in optimizer.param_groups
    ]
    optimizer.load_state_dict(dict(state))
    for group, kept in zip(optimizer.param_groups, own, strict=True):
        group.update(kept)
    for parameter, remembered in optimizer.state.items():
        for name, value in remembered.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                remembered[name] = _in_order_of(parameter, value)


def _in_order_of(parameter: Tensor, value: Tensor) -> Tensor:
    if value.stride() == parameter.stride():
        return value
    return torch.empty_like(parameter, dtype=value.dtype).copy_(value)
