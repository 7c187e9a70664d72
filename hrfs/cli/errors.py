"""What Hydra and OmegaConf throw, told in one line: key, value, rule and the nearest names."""

from __future__ import annotations

import re
import traceback
from collections.abc import Sequence

import yaml
from hydra.core.override_parser.types import Override
from hydra.errors import (
    ConfigCompositionException,
    HydraException,
    MissingConfigException,
    OverrideParseException,
    SearchPathException,
)
from omegaconf import DictConfig
from omegaconf.errors import (
    ConfigAttributeError,
    ConfigKeyError,
    MissingMandatoryValue,
    OmegaConfBaseException,
    ValidationError,
)

from hrfs.cli.names import suggestion
from hrfs.experiment.errors import ConfigError

_NO_SUCH_GROUP = re.compile(r"Could not (?:override|delete) '?([^'.\s]+)'?\.\s*No match")
_GONE_KEY = re.compile(r"Could not delete from config\. '([^']+)' does not exist")
_COMPOSES = (
    "hydra.core.override_parser.overrides_parser",
    "hydra._internal.config_loader_impl",
    "hydra._internal.defaults_list",
)
"""Modules that go through what was typed, mostly with one argument at a time in ``override``."""


def explain(
    error: BaseException, overrides: Sequence[str], groups: Sequence[str]
) -> ConfigError | None:
    """The mendable fault behind ``error``, or None if it is a fault of the program.

    ``overrides`` are the arguments as typed, to quote values from; ``groups`` the names of all
    configuration groups, which are proposed beside the keys.
    """
    if isinstance(error, ConfigError):
        return error
    if isinstance(error, yaml.MarkedYAMLError):
        return _broken_file(error)
    if isinstance(error, MissingConfigException):
        return _missing_config(error)
    if isinstance(error, OverrideParseException):
        why = error.message.partition("\nSee ")[0]
        return ConfigError("argument", error.override, f"is no key=value: {why}")
    if isinstance(error, SearchPathException):
        return ConfigError("--config-dir", _typed("--config-dir", overrides), str(error))
    if isinstance(error, OmegaConfBaseException):
        return _bad_key(error, overrides, groups)
    if isinstance(error, ConfigCompositionException):
        if isinstance(error.__cause__, OmegaConfBaseException):
            return _bad_key(error.__cause__, overrides, groups)
        return _bad_composition(str(error), overrides, groups)
    if isinstance(error, HydraException):
        return ConfigError("configuration", " ".join(overrides), str(error))
    return _refused_argument(error, overrides)


def explain_files(error: Exception) -> ConfigError | None:
    """A file that Hydra could not read, or the output folder that it could not make or write.

    For what is raised before the job starts; logging wraps the latter in a ValueError.
    """
    cause = error if isinstance(error, OSError) else error.__cause__
    if not isinstance(cause, OSError):
        return None
    name = str(cause.filename)
    if name.endswith((".yaml", ".yml")):
        return ConfigError("configuration file", name, f"cannot be read ({cause.strerror})")
    return unwritable(cause, name)


def unwritable(error: OSError, folder: str) -> ConfigError:
    """The output ``folder`` cannot be made or written."""
    rule = f"cannot be written ({error.strerror or error})"
    return ConfigError("hydra.run.dir", folder, rule, "choose another folder")


def _refused_argument(error: BaseException, overrides: Sequence[str]) -> ConfigError | None:
    """What Python raised while Hydra took up an argument that can be no value of its key.

    Hydra catches its own errors alone: neither a number as the name of an option nor a whole
    number of more digits than Python reads is one of these.
    """
    if not isinstance(error, Exception):
        return None
    why = str(error) or type(error).__name__
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    composing = [frame for frame in frames if frame.f_globals.get("__name__") in _COMPOSES]
    for frame in composing:
        override = frame.f_locals.get("override")
        typed = override.input_line if isinstance(override, Override) else override
        if isinstance(typed, str):
            key, _, value = typed.partition("=")
            return ConfigError(key.lstrip("+~"), value, f"cannot be set ({why})")
    return ConfigError("configuration", " ".join(overrides), why) if composing else None


def _missing_config(error: MissingConfigException) -> ConfigError:
    group, slash, name = (error.missing_cfg_file or "").rpartition("/")
    if not slash:
        return ConfigError("--config-name", name, "there is no such configuration file")
    options = error.options or ()
    listed = f"{group} has {', '.join(options)}" if options else "there is no such group"
    near = suggestion(name, options) if options else ""
    if near.startswith("there are"):
        near = ""
    return ConfigError(group, name, f"there is no such option; {listed}", near)


def _bad_key(
    error: OmegaConfBaseException, overrides: Sequence[str], groups: Sequence[str]
) -> ConfigError:
    key = str(error.full_key or error.key or "configuration")
    first_line = (error.msg or str(error)).strip().splitlines()[0]
    value = _typed(key, overrides)
    if isinstance(error, MissingMandatoryValue):
        return ConfigError(key, "???", "must be given", f"add {key}=VALUE")
    if isinstance(error, ConfigKeyError | ConfigAttributeError):
        parent, _, name = key.rpartition(".")
        known = {str(k) for k in error.parent_node or ()} if _is_dict(error) else set()
        known |= set(groups) if not parent else set()
        place = f"in {parent}" if parent else "at the top"
        return ConfigError(
            key, value, f"there is no key {name} {place}", suggestion(name, known - {"hydra"})
        )
    if isinstance(error, ValidationError):
        return ConfigError(key, value or error.value, _rule(first_line, key))
    return ConfigError(key, value, _rule(first_line, key))


def _is_dict(error: OmegaConfBaseException) -> bool:
    node = error.parent_node
    return isinstance(node, DictConfig) and not node._is_none() and not node._is_missing()


def _rule(message: str, key: str) -> str:
    """OmegaConf's words about a wrong type, with what would have been right."""
    plain = {
        "Integer": "must be a whole number",
        "Float": "must be a number",
        "Boolean": "must be true or false",
    }
    if message.endswith("is not a ListConfig, list or tuple."):
        return f"must be a list, such as {'[0,1,2]' if key == 'seeds' else '[uniform,0.001,1]'}"
    if "is not a valid bool" in message:
        return plain["Boolean"]
    if message.startswith("Cannot merge"):
        return "a list cannot take the place of a mapping, nor a mapping that of a list"
    if "is not Optional" in message:
        return "must not be null"
    if message.startswith("Invalid type assigned") or " to Dict[" in message:
        return "must be a mapping, such as {name: value}"
    if message.endswith("to string") or " to string: " in message:
        return "must be text"
    for name, rule in plain.items():
        if message.endswith(f"to {name}"):
            return rule
    return message


def _bad_composition(text: str, overrides: Sequence[str], groups: Sequence[str]) -> ConfigError:
    for pattern in (_NO_SUCH_GROUP, _GONE_KEY):
        match = pattern.search(text)
        if match:
            key = match.group(1)
            remedy = "--cfg job prints all keys" if "." in key else suggestion(key, groups)
            return ConfigError(key, _typed(key, overrides), "there is nothing of this name", remedy)
    return ConfigError("configuration", " ".join(overrides), " ".join(text.split()))


def _broken_file(error: yaml.MarkedYAMLError) -> ConfigError:
    mark = error.problem_mark
    place = f"{mark.name}, line {mark.line + 1}" if mark else "?"
    return ConfigError("configuration file", place, error.problem or "is not YAML")


def _typed(key: str, arguments: Sequence[str]) -> str:
    """The value that was typed last for ``key``; empty if it came from a file."""
    for index in reversed(range(len(arguments))):
        name, equals, value = arguments[index].partition("=")
        if name.lstrip("+~") == key:
            if not equals and key.startswith("-"):
                return "".join(arguments[index + 1 : index + 2])
            return value
    return ""
