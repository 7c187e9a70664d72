"""Joining a cluster: what does not answer is refused at once and in one line."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time

import pytest

from hrfs.core.search_space import Choice, Hyperparameter, IntRange, LogUniform, Uniform
from hrfs.experiment.cluster import ClusterSettings, EmulatedWorker
from hrfs.experiment.errors import ConfigError

pytestmark = pytest.mark.ray


def join(address: str, within_s: float = 2.0) -> None:
    from hrfs.tuning.session import check_answers

    settings = ClusterSettings(mode="address", address=address, answer_within_s=within_s)
    check_answers(settings)


def test_an_address_needs_host_and_port() -> None:
    with pytest.raises(ConfigError) as error:
        join("headnode")
    assert str(error.value) == (
        "cluster.address=headnode: must have the form host:port; the port is often 6379"
    )


def test_nobody_listens() -> None:
    port = free_port()
    with pytest.raises(ConfigError, match=rf"cluster.address=127.0.0.1:{port}: does not answer"):
        join(f"127.0.0.1:{port}")


def test_somebody_else_listens() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        address = f"127.0.0.1:{other.getsockname()[1]}"
        with pytest.raises(ConfigError, match=rf"cluster.address={address}: .*ray start --head"):
            join(address)


@pytest.mark.slow
def test_a_cluster_that_wants_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    address = f"127.0.0.1:{free_port()}"
    theirs = {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": "a" * 64}
    ray = [sys.executable, "-m", "ray.scripts.scripts"]
    head = ["start", "--head", "--block", "--num-cpus=0", "--include-dashboard=false"]
    where = [f"--port={address.partition(':')[2]}", "--node-ip-address=127.0.0.1"]
    with subprocess.Popen(
        [*ray, *head, *where], env={**os.environ, **theirs}, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        try:
            wait_for(address, theirs, monkeypatch)
            monkeypatch.setenv("RAY_AUTH_TOKEN", "b" * 64)
            with pytest.raises(ConfigError) as error:
                join(address, within_s=20)
            assert str(error.value) == (
                f"cluster.address={address}: the cluster wants a token; "
                "set RAY_AUTH_MODE=token and the cluster's RAY_AUTH_TOKEN"
            )
            joined = subprocess.run(
                [sys.executable, "-c", JOIN_WITH_A_LATE_TOKEN, address, theirs["RAY_AUTH_TOKEN"]],
                env={k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH")},
                capture_output=True, text=True, timeout=60, check=False,
            )  # fmt: skip
            assert joined.stdout == "1\n", joined.stderr
            assert "wants no token" not in joined.stderr
            assert theirs["RAY_AUTH_TOKEN"] not in joined.stderr
        finally:
            os.killpg(process.pid, signal.SIGKILL)


JOIN_WITH_A_LATE_TOKEN = """
import os, sys
import ray
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": sys.argv[2]}
from hrfs.experiment.cluster import ClusterSettings
from hrfs.tuning.session import cluster
with cluster(ClusterSettings(mode="address", address=sys.argv[1], answer_within_s=30)):
    print(len(ray.nodes()))
"""
"""Ray reads what is said of tokens on import; a launcher's ``token_file`` comes after that."""


def wait_for(address: str, environment: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    for attempt in range(30):
        try:
            join(address, within_s=20)
        except ConfigError:
            if attempt == 29:
                raise
            time.sleep(1)
        else:
            break


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def test_emulated_clusters_count_workers_and_their_kinds() -> None:
    from hrfs.tuning.session import local_arguments

    emulated = (EmulatedWorker("a", "gpu"), EmulatedWorker("b", "cpu"), EmulatedWorker("c", "cpu"))
    arguments = local_arguments(ClusterSettings(mode="emulated", emulated=emulated))
    assert arguments["num_cpus"] == 3
    assert arguments["resources"] == {"emulated_gpu": 1, "emulated_cpu": 2}
    assert arguments["_node_ip_address"] == "127.0.0.1"
    assert arguments["include_dashboard"] is False


@pytest.mark.ray
def test_a_run_in_a_ray_that_is_joined_already_is_told_what_that_lacks(
    ray_cluster: object,
) -> None:
    from hrfs.tuning.session import check_joined

    check_joined(ClusterSettings(mode="local"))
    workers = (EmulatedWorker("a", "gpu"),)
    with pytest.raises(ConfigError, match=r"cluster\.emulated=1 workers: need 1 emulated_gpu of"):
        check_joined(ClusterSettings(mode="emulated", emulated=workers))
    with pytest.raises(ConfigError, match=r"cluster\.address=1\.2\.3\.4:5: .* joined the Ray"):
        check_joined(ClusterSettings(mode="address", address="1.2.3.4:5"))


def test_the_baseline_keeps_values_in_their_ranges() -> None:
    from hrfs.experiment.plan import Plan
    from hrfs.tuning.baseline import ray_scheduler

    space = {
        "lr": Hyperparameter(Uniform(0.001, 1), Uniform(0.0001, 1)),
        "decay": Hyperparameter(LogUniform(1e-5, 1e-2), LogUniform(1e-5, 1e-2)),
        "width": Hyperparameter(IntRange(1, 8), IntRange(2, 6)),
        "momentum": Hyperparameter(Uniform(0.001, 1), Choice((0.8, 0.9, 0.99))),
        "fixed": Hyperparameter(Uniform(0, 1)),
    }
    pbt = ray_scheduler(Plan(4, 100, 10, space))
    clipped = pbt._custom_explore_fn(
        {"lr": 1.2, "decay": 0.0, "width": 9, "momentum": 0.8, "fixed": 2.0}
    )
    assert clipped == {"lr": 1.0, "decay": 1e-5, "width": 6, "momentum": 0.8, "fixed": 2.0}
    assert "fixed" not in pbt._hyperparam_mutations
