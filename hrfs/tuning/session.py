"""Starting Ray on this machine, or joining a cluster."""

from __future__ import annotations

import logging
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any

import ray
from ray._private import ray_constants

from hrfs.experiment.cluster import ClusterSettings
from hrfs.experiment.errors import ConfigError
from hrfs.experiment.files import let_no_others_write
from hrfs.experiment.interrupts import current
from hrfs.tuning.allocation import emulated_resources
from hrfs.tuning.head_start import head_start
from hrfs.tuning.lifeline import not_outliving_us
from hrfs.tuning.private_node import joined_at_once
from hrfs.tuning.private_servers import without_onlookers
from hrfs.tuning.storage_chatter import shorten
from hrfs.tuning.trust import (
    follow_environment,
    private_session_folder,
    want_token,
    warn_of_trust,
)

log = logging.getLogger("hrfs")

OBJECT_STORE_BYTES = 200 * 2**20
"""Trials' states go through the storage, not through Ray's object store."""

SET_TOKEN = "set RAY_AUTH_MODE=token and RAY_AUTH_TOKEN on every node"

TUNE_ENVIRONMENT = {
    # A process serves many trials: it must not move its working folder to one of them.
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    # Ctrl-C is ours to handle: Tune's own way may take ten minutes.
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    # Our own observers write slices.csv and TensorBoard files.
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    # Under Ray's own PBT snapshots follow every few checkpoints: wanted, not "excessive".
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    # What Tune sets for its trials; ours have it from the driver.
    "PL_DISABLE_FORK": "1",
    # One line of Ray's about a change of accelerator variables that is no news to our users.
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


_started_here = False


def started_here() -> bool:
    """Whether Ray's processes were started by :func:`cluster`, and have our environment."""
    return _started_here


@contextmanager
def cluster(settings: ClusterSettings, imports: Sequence[str] = ()) -> Iterator[None]:
    """Ray, ready to use, and shut down at the end if we started it here.

    A Ray that the process has joined already is used as it is and left alone. ``imports`` are the
    modules that workers' processes will need: if Ray is to keep one ready for each worker, as it
    does for emulated ones, they are imported at once.

    Raises:
        ConfigError: the address does not answer, or refuses us, or our own cluster's token
            cannot be kept from others.
    """
    global _started_here
    for name, value in TUNE_ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    _send_chatter_to_the_log()
    shorten()
    if ray.is_initialized():
        check_joined(settings)
        yield
        return
    if settings.mode == "address":
        _join(settings)
    else:
        with head_start(imports if settings.mode == "emulated" else ()) as early:
            start_here({**local_arguments(settings), **early})
        _started_here = True
    try:
        yield
    finally:
        _started_here = False
        ray.shutdown()


def check_joined(settings: ClusterSettings) -> None:
    """Make sure that the Ray which this process has joined already can be the run's cluster.

    A job that a launcher has put on Ray finds itself there.

    Raises:
        ConfigError: another cluster is asked for, or it lacks what the emulated workers hold.
    """
    here = ray.get_runtime_context().gcs_address
    if settings.mode == "address" and settings.address not in (None, here):
        rule = f"this process has joined the Ray cluster at {here} already"
        raise ConfigError("cluster.address", settings.address, rule, "let the launcher join it")
    if settings.mode != "emulated":
        return
    has = ray.cluster_resources()
    for name, wanted in emulated_resources(settings.emulated).items():
        if has.get(name, 0) < wanted:
            raise ConfigError(
                "cluster.emulated",
                f"{len(settings.emulated)} workers",
                f"need {wanted:g} {name} of the Ray cluster that this process has joined, "
                f"which has {has.get(name, 0):g}",
                "start that one with ray.init(num_cpus=..., resources={...}) to match",
            )


def _send_chatter_to_the_log() -> None:
    """Ray prints on the screen by handlers of its own; let the root logger's decide instead."""
    for name in ("ray", "ray.tune", "ray.train", "ray.data", "ray.rllib"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # It misses the files of Tune's own loggers, which ours replace.
    logging.getLogger("ray.tune.analysis.experiment_analysis").setLevel(logging.ERROR)


def start_here(arguments: Mapping[str, Any]) -> None:
    """``ray.init`` of a cluster of our own, whose ports nothing beyond this machine reaches.

    Ray replaces 127.0.0.1 by an address that others reach, and then listens on all of them,
    unless it believes that there are no clusters here, as it does on macOS and Windows. Other
    users of this machine are kept out by a token, and by the permissions of its session's folder.
    None of its processes outlives this one by more than seconds.

    Raises:
        ConfigError: a token must be made, and the home folder cannot hold it; or the session's
            folder cannot be kept from others.
    """
    want_token()
    let_no_others_write()  # to the sockets
    private = {"_temp_dir": str(private_session_folder())}
    before = ray_constants.ENABLE_RAY_CLUSTER
    ray_constants.ENABLE_RAY_CLUSTER = False
    try:
        shown = arguments.get("include_dashboard")
        onlookers = nullcontext() if shown else without_onlookers()
        with not_outliving_us(), joined_at_once(), onlookers:
            ray.init(**{**private, **arguments})
    finally:
        ray_constants.ENABLE_RAY_CLUSTER = before
        current().take_signals()  # Ray has taken SIGTERM for itself


def local_arguments(settings: ClusterSettings) -> dict[str, Any]:
    """Arguments of ``ray.init`` for a cluster of our own on this machine."""
    arguments: dict[str, Any] = {
        "address": "local",  # not whatever Ray happens to run here, or RAY_ADDRESS names
        # Ray's ports run code for whoever reaches them: not beyond this machine.
        "_node_ip_address": "127.0.0.1",
        "include_dashboard": settings.dashboard,
        "log_to_driver": False,
        "configure_logging": False,
        "object_store_memory": OBJECT_STORE_BYTES,
    }
    if settings.mode == "emulated":
        resources = emulated_resources(settings.emulated)
        arguments["num_cpus"] = resources.pop("CPU")
        arguments["num_gpus"] = 0
        arguments["resources"] = resources
    return arguments


def _join(settings: ClusterSettings) -> None:
    check_answers(settings)
    follow_environment()
    try:
        ray.init(address=settings.address, log_to_driver=False, configure_logging=False)
    except (ConnectionError, RuntimeError, ray.exceptions.RayError) as error:
        raise _refusal(settings.address or "", str(error)) from error
    warn_of_trust(settings.address or "", SET_TOKEN)


def check_answers(settings: ClusterSettings) -> None:
    """Make sure that a Ray cluster answers at the address, in time, and takes our token.

    Asked from a process of its own: Ray tries for a minute, or ends the process that asks.

    Raises:
        ConfigError: it does not, and what to do.
    """
    address = settings.address or ""
    host, colon, port = address.rpartition(":")
    if not colon or not port.isdigit():
        raise ConfigError(
            "cluster.address", address, "must have the form host:port", "the port is often 6379"
        )
    silent = f"does not answer within {settings.answer_within_s:g} s"
    start = "start Ray there with `ray start --head` and check the port"
    try:
        socket.create_connection((host, int(port)), timeout=settings.answer_within_s).close()
    except OSError as error:
        raise ConfigError("cluster.address", address, f"{silent} ({error})", start) from error
    try:
        asked = subprocess.run(
            [sys.executable, "-c", _ASK, address],
            capture_output=True,
            text=True,
            timeout=settings.answer_within_s,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise ConfigError("cluster.address", address, silent, start) from error
    if asked.returncode:
        raise _refusal(address, asked.stderr)


_ASK = """
import sys
from ray._raylet import GcsClient
print(len(GcsClient(address=sys.argv[1]).get_all_node_info(timeout=8.0)))
"""
"""Asks a cluster for its nodes: the least that needs both an answer and a valid token."""


def _refusal(address: str, said: str) -> ConfigError:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    if "token" in said.lower() or "unauthenticated" in said.lower():
        return ConfigError(
            "cluster.address",
            address,
            "the cluster wants a token",
            "set RAY_AUTH_MODE=token and the cluster's RAY_AUTH_TOKEN",
        )
    return ConfigError(
        "cluster.address",
        address,
        f"is no Ray cluster that can be joined ({lines[-1] if lines else 'no reason given'})",
        "start Ray there with `ray start --head` and check the port",
    )
