"""Ray for a launch: one of our own on this machine, one at an address, or one that is there."""

from __future__ import annotations

import inspect
import logging
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray

from hrfs.experiment.cluster import ClusterSettings
from hrfs.experiment.errors import ConfigError
from hrfs.tuning.session import SET_TOKEN, check_answers, local_arguments, start_here
from hrfs.tuning.trust import follow_environment, warn_of_trust
from hydra_plugins.hrfs_ray_tune_launcher._checks import check_init, unanswered
from hydra_plugins.hrfs_ray_tune_launcher._errors import LauncherError
from hydra_plugins.hrfs_ray_tune_launcher._privates import raylet_words_to

log = logging.getLogger(__name__)

KEY = "hydra.launcher.init"
TOKEN_FILE = "token_file"
ENVIRONMENT = {
    # A job keeps the folder that Hydra gives it.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # Jobs write their own files; Tune's would only repeat them.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Ctrl-C ends the sweep by KeyboardInterrupt; Tune's own way may take ten minutes.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}
_ADDRESS = re.compile(r"[^/:\s]+:\d+")


@contextmanager
def ray_for_jobs(init: Mapping[str, Any]) -> Iterator[None]:
    """Ray, ready for jobs; shut down at the end, however it comes, if it was started here.

    ``init`` are arguments of ``ray.init``, without ``address`` for a cluster of our own that
    listens on this machine alone. A Ray that this process has joined is used as it is.

    Raises:
        LauncherError: an argument that ray.init does not take, or nothing answers.
    """
    check_init(init, {*inspect.signature(ray.init).parameters, TOKEN_FILE})
    with _environment({**ENVIRONMENT, **_token(init)}), _quiet(), raylet_words_to(log):
        if ray.is_initialized():
            yield
            return
        try:
            _start({name: value for name, value in init.items() if name != TOKEN_FILE})
            yield
        finally:
            ray.shutdown()


def _start(init: dict[str, Any]) -> None:
    address = init.get("address")
    if address is None:
        ours = local_arguments(ClusterSettings(mode="local"))
        del ours["object_store_memory"]  # jobs may put large objects there: Ray's default
        start_here({**ours, **init, "address": "local"})
        return
    _check_address(address)
    follow_environment()
    try:
        ray.init(**{"log_to_driver": False, "configure_logging": False, **_of_a_client(init)})
    except (ConnectionError, RuntimeError, ValueError, ray.exceptions.RayError) as error:
        raise unanswered(address, None, error) from error
    warn_of_trust(address, f"{SET_TOKEN}, or {KEY}.{TOKEN_FILE}")


def _of_a_client(init: Mapping[str, Any]) -> dict[str, Any]:
    """What ray.init takes beside an address; it refuses what describes a cluster to start."""
    return {name: value for name, value in init.items() if name != "include_dashboard" or value}


def _check_address(address: str) -> None:
    """Make sure that something answers: Ray tries for a minute, or ends this process."""
    if address == "auto":
        return
    if not _ADDRESS.fullmatch(str(address)):
        rule = "must be host:port of a Ray cluster, or auto"
        raise LauncherError(f"{KEY}.address", address, rule, "the port is often 6379")
    try:
        check_answers(ClusterSettings(mode="address", address=address))
    except ConfigError as error:
        raise LauncherError(f"{KEY}.address", address, error.rule, error.remedy) from error


def _token(init: Mapping[str, Any]) -> dict[str, str]:
    """Ray reads its token from the environment; a file keeps it out of the configuration."""
    path = init.get(TOKEN_FILE)
    if path is None:
        return {}
    if not os.access(path, os.R_OK) or not Path(path).is_file():
        raise LauncherError(f"{KEY}.{TOKEN_FILE}", path, "is no file that can be read")
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN_PATH": str(Path(path).absolute())}


@contextmanager
def _environment(values: Mapping[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


@contextmanager
def _quiet() -> Iterator[None]:
    """Ray's and Tune's log lines repeat, at length, what the launcher tells of each job."""
    loggers = [logging.getLogger(name) for name in ("ray", "ray.tune", "ray.train", "ray.air")]
    before = [(logger, logger.level) for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in before:
            logger.setLevel(level)
