"""Whether what a slice leaves behind can still be trained."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from pytorch_lightning import LightningModule
from torch import Tensor, nn

_CHECKED = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def is_healthy(module: LightningModule, optimizer_states: Sequence[Mapping[str, Any]]) -> bool:
    """Whether no number that training goes on from is NaN or infinite.

    Those are the weights, the running statistics of normalisation, and what the optimizers
    remember: a second moment that has overflowed stops a weight for ever, with no other sign.
    Other buffers are checked for NaN alone: an attention mask is infinite by design.
    """
    finite = [*module.parameters(), *_running_statistics(module), *_tensors(optimizer_states)]
    own = {id(tensor) for tensor in finite}
    others = [buffer for buffer in module.buffers() if id(buffer) not in own]
    return all_finite(finite) and not any_nan(others)


def all_finite(tensors: Iterable[Tensor]) -> bool:
    """Whether no element of any tensor is NaN or infinite; integers are finite."""
    ends = _ends(tensors)
    return ends is None or bool(torch.isfinite(ends).all())


def any_nan(tensors: Iterable[Tensor]) -> bool:
    """Whether any element of any tensor is NaN."""
    ends = _ends(tensors)
    return ends is not None and bool(torch.isnan(ends).any())


def _ends(tensors: Iterable[Tensor]) -> Tensor | None:
    """The least and the greatest element of each tensor; both are NaN where any element is.

    One pass over each tensor and one wait for the device in all; ``torch.isfinite`` writes a
    mask as large as the tensor, and takes ten times as long on a CPU.
    """
    found = [
        torch.stack(torch.aminmax(tensor)).double()
        for tensor in map(_real, tensors)
        if tensor.dtype in _CHECKED and tensor.numel() and tensor.layout is torch.strided
    ]
    if not found:
        return None
    device = max(found, key=lambda ends: ends.device.type != "cpu").device
    return torch.stack([ends.to(device) for ends in found])


def _real(tensor: Tensor) -> Tensor:
    detached = tensor.detach()
    return torch.view_as_real(detached) if detached.is_complex() else detached


def _running_statistics(module: LightningModule) -> Iterator[Tensor]:
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._NormBase):
            yield from (b for b in (part.running_mean, part.running_var) if b is not None)


def _tensors(nested: Any) -> Iterator[Tensor]:
    if isinstance(nested, Tensor):
        yield nested
    elif isinstance(nested, Mapping):
        for value in nested.values():
            yield from _tensors(value)
    elif isinstance(nested, (list, tuple)):
        for value in nested:
            yield from _tensors(value)
