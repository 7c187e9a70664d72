"""Building objects that a configuration names by ``_target_``, from allowed packages only.

A configuration may come from elsewhere, and a dotted path can name anything that Python can
import. So a target must begin with an allowed prefix, must be a class, and the class must be
defined under an allowed prefix too: ``torch.serialization.os`` leads out of torch, and is refused.
"""

from __future__ import annotations

import functools
import importlib
import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from hrfs.experiment.errors import ConfigError

TARGET = "_target_"
PARTIAL = "_partial_"
ALLOWED_PREFIXES = ("hrfs.", "torch.", "torchvision.", "pytorch_lightning.", "lightning.")
"""First parts of names that need no entry in ``allowed_targets``."""


def is_allowed(dotted: str, allowed_targets: Sequence[str] = ()) -> bool:
    """Whether ``dotted`` lies in a package that may be named by a configuration."""
    prefixes = (*ALLOWED_PREFIXES, *allowed_targets)
    return any(f"{dotted}.".startswith(f"{prefix.rstrip('.')}.") for prefix in prefixes)


def locate(dotted: Any, key: str, allowed_targets: Sequence[str] = ()) -> type[object]:
    """Import the class that ``dotted`` (``package.module.Name``) names.

    Args:
        dotted: the value of a ``_target_``.
        key: where it stands in the configuration, for messages, e.g. ``model._target_``.
        allowed_targets: packages allowed beside :data:`ALLOWED_PREFIXES`.

    Raises:
        ConfigError: not allowed, not importable, or not a class.
    """
    if not isinstance(dotted, str) or "." not in dotted:
        raise ConfigError(key, dotted, "must be the dotted path of a class")
    _refuse_foreign(dotted, dotted, key, allowed_targets)
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
    _refuse_foreign(dotted, f"{found.__module__}.{found.__qualname__}", key, allowed_targets)
    return found


def _refuse_foreign(value: str, dotted: str, key: str, allowed: Sequence[str]) -> None:
    if not is_allowed(dotted, allowed):
        raise ConfigError(
            key,
            value,
            f"{dotted} is in none of the allowed packages ({', '.join(ALLOWED_PREFIXES)})",
            "name your own package in allowed_targets",
        )


def instantiate(settings: Any, key: str, allowed_targets: Sequence[str] = ()) -> Any:
    """``settings`` with every nested mapping that has a ``_target_`` replaced by its object.

    ``_partial_: true`` beside a ``_target_`` gives ``functools.partial`` of the class.

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
        cls = locate(settings[TARGET], f"{key}.{TARGET}", allowed_targets)
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
