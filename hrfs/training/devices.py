"""Getting tensors to a device without making the host wait for it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CPU = torch.device("cpu")


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """``tensor`` on ``device``; itself if it is there.

    The copy to a GPU is put in its queue, from memory that the GPU can read by itself: from
    any other the host would wait until the GPU has done all work that was given to it before.
    """
    if tensor.device == device:
        return tensor
    if device.type != "cuda" or tensor.device != CPU:
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)


def on_cpu(nested: Any) -> Any:
    """``nested`` (mappings, lists, tuples) with its tensors on the CPU; not copied if there."""
    if isinstance(nested, Tensor):
        return nested.cpu()
    if isinstance(nested, dict):
        return type(nested)((key, on_cpu(value)) for key, value in nested.items())
    if type(nested) in (list, tuple):
        return type(nested)(on_cpu(value) for value in nested)
    return nested
