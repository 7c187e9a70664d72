"""Building objects that a configuration names by ``_target_``, from allowed packages only.

A configuration may come from elsewhere, and a dotted path can name anything that Python can
import. So a target must begin with an allowed prefix, must be a class, and the class must be
defined under an allowed prefix too: ``torch.serialization.os`` leads out of torch, and is refused.

torch and torchvision also hold what opens files and runs what is in them (``torch.load``,
``torch.hub``, ``torch.package``, ``torchvision.datasets``). So the model and the dataset may come
from any allowed package, but must be Lightning's module and data module, and what stands within
them may come from :data:`PART_PREFIXES` alone, whose classes compute and do nothing else. The
standard library runs programs: no entry of ``allowed_targets`` opens it.
"""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from hrfs.experiment.errors import ConfigError

TARGET = "_target_"
PARTIAL = "_partial_"
ALLOWED_PREFIXES = ("hrfs.", "torch.", "torchvision.", "pytorch_lightning.", "lightning.")
"""First parts of names that need no entry in ``allowed_targets``."""
PART_PREFIXES = (
    "hrfs.core.",
    "hrfs.training.",
    "torch.nn.",
    "torch.optim.",
    "torchmetrics.classification.",
    "torchmetrics.regression.",
    "torchvision.models.",
    "torchvision.ops.",
    "torchvision.transforms.",
)
"""The same for targets within the model and the dataset: classes that open and run nothing."""


def allowed_prefixes(part: bool) -> tuple[str, ...]:
    """Those of a ``part`` of the model or the dataset, or of these two themselves."""
    return PART_PREFIXES if part else ALLOWED_PREFIXES


def is_allowed(dotted: str, allowed_targets: Sequence[str] = (), part: bool = False) -> bool:
    """Whether ``dotted`` lies in a package that may be named by a configuration."""
    if in_standard_library(dotted):
        return False
    prefixes = (*allowed_prefixes(part), *allowed_targets)
    return any(f"{dotted}.".startswith(f"{prefix.rstrip('.')}.") for prefix in prefixes)


def in_standard_library(dotted: str) -> bool:
    """Whether ``dotted`` is a name of Python's own, which no configuration may use."""
    return dotted.partition(".")[0] in sys.stdlib_module_names


def locate(
    dotted: Any, key: str, allowed_targets: Sequence[str] = (), part: bool = False
) -> type[object]:
    """Import the class that ``dotted`` (``package.module.Name``) names.

    Args:
        dotted: the value of a ``_target_``.
        key: where it stands in the configuration, for messages, e.g. ``model._target_``.
        allowed_targets: packages allowed beside :func:`allowed_prefixes`.
        part: whether it stands within the model or the dataset.

    Raises:
        ConfigError: not allowed, not importable, or not a class.
    """
    if not isinstance(dotted, str) or "." not in dotted:
        raise ConfigError(key, dotted, "must be the dotted path of a class")
    _refuse_foreign(dotted, dotted, key, allowed_targets, part)
    module_name, _, name = dotted.rpartition(".")
    try:
        found = getattr(importlib.import_module(module_name), name)
    except ImportError as error:
        raise ConfigError(
            key, dotted, f"cannot be imported ({error})", "is the package installed?"
        ) from error
    except AttributeError as error:
        raise ConfigError(key, dotted, f"module {module_name} has no {name}") from error
    if not isinstance(found, type):
        raise ConfigError(key, dotted, "must name a class")
    home = f"{found.__module__}.{found.__qualname__}"
    _refuse_foreign(dotted, home, key, allowed_targets, part)
    return found


def _refuse_foreign(value: str, dotted: str, key: str, allowed: Sequence[str], part: bool) -> None:
    if is_allowed(dotted, allowed, part):
        return
    if in_standard_library(dotted):
        rule = f"{dotted} is of Python's standard library, which no configuration may name"
        raise ConfigError(key, value, rule)
    prefixes = ", ".join(allowed_prefixes(part))
    raise ConfigError(
        key,
        value,
        f"{dotted} is in none of the allowed packages ({prefixes})",
        "name your own package in allowed_targets",
    )


def instantiate(settings: Any, key: str, allowed_targets: Sequence[str] = ()) -> Any:
    """``settings`` with every nested mapping that has a ``_target_`` replaced by its object.

    These are parts of the model or the dataset: see :data:`PART_PREFIXES`. ``_partial_: true``
    beside a ``_target_`` gives ``functools.partial`` of the class.

    Raises:
        ConfigError: as :func:`locate`, or the class does not take these arguments.
    """
    if isinstance(settings, Mapping):
        inner = {
            name: instantiate(value, f"{key}.{name}", allowed_targets)
            for name, value in settings.items()
            if name not in (TARGET, PARTIAL)
        }
        if TARGET not in settings:
            return inner
        cls = locate(settings[TARGET], f"{key}.{TARGET}", allowed_targets, part=True)
        if settings.get(PARTIAL, False):
            return functools.partial(cls, **inner)
        return construct(cls, inner, key)
    if isinstance(settings, list | tuple):
        return [
            instantiate(item, f"{key}[{i}]", allowed_targets) for i, item in enumerate(settings)
        ]
    return settings


def construct(cls: type[object], arguments: Mapping[str, Any], key: str) -> Any:
    """``cls(**arguments)``, with a mismatch of names told as a :class:`ConfigError`."""
    try:
        inspect.signature(cls).bind(**arguments)
    except TypeError as error:
        known = ", ".join(inspect.signature(cls).parameters)
        raise ConfigError(
            key, f"{{{', '.join(arguments)}}}", f"{cls.__name__}: {error}", f"it takes {known}"
        ) from error
    return cls(**arguments)


def accepts(cls: type[object], name: str) -> bool:
    """Whether the constructor of ``cls`` takes the keyword argument ``name``."""
    parameters = inspect.signature(cls).parameters
    if name in parameters:
        return parameters[name].kind is not inspect.Parameter.VAR_POSITIONAL
    return any(p.kind is inspect.Parameter.VAR_KEYWORD for p in parameters.values())
