"""Nobody gets in: what a cluster of ours answers to whom, and what is said of one we join."""

from __future__ import annotations

import json
import logging
import os
import stat
import subprocess
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from launcher.launcher_program import descendants, reachable

from hrfs.experiment.errors import ConfigError

pytestmark = pytest.mark.ray

ROOT = Path(__file__).resolve().parents[2]
START = """
import ray
from hrfs.experiment.cluster import ClusterSettings
from hrfs.tuning.session import cluster
with cluster(ClusterSettings(mode="local")):
    print(ray.get_runtime_context().gcs_address, flush=True)
    print(ray._private.worker._global_node.get_session_dir_path(), flush=True)
    input()
"""
"""A driver with a cluster of its own, until a line comes in."""
ASK = """
import sys
from ray._raylet import GcsClient
print(len(GcsClient(address=sys.argv[1]).get_all_node_info(timeout=8.0)))
"""
CALLS = (
    "NodeInfoGcsService/GetAllNodeInfo",
    "NodeManagerService/RequestWorkerLease",
    "ObjectManagerService/Pull",
    "CoreWorkerService/PushTask",
)
"""One of each kind of Ray's processes; the last runs code."""


def environment(home: Path, **changes: str) -> dict[str, str]:
    """Without any word of a token but ``changes``, in a home folder of its own."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("RAY_AUTH")}
    return {**kept, "HOME": str(home), "PYTHONPATH": str(ROOT), **changes}


def ask(address: str, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", ASK, address]
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def sessions() -> Iterator[Path]:
    """A folder whose path is short, as sockets need."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        yield Path(name)


@pytest.mark.slow
def test_a_cluster_of_ours_answers_nobody_without_its_token(tmp_path: Path, sessions: Path) -> None:
    """Although the user's environment tries to turn tokens off, and the umask is open."""
    ours, theirs = tmp_path / "ours", tmp_path / "theirs"
    ours.mkdir()
    theirs.mkdir()
    env = environment(ours, RAY_AUTH_MODE="disabled", RAY_TMPDIR=str(sessions))
    with subprocess.Popen(
        [sys.executable, "-c", START], env=env, umask=0,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as driver:  # fmt: skip
        try:
            assert driver.stdout is not None
            address = driver.stdout.readline().strip()
            assert address.startswith("127.0.0.1:")
            session = Path(driver.stdout.readline().strip())
            assert session.parent == sessions / f"hrfs-{os.getuid()}" / "ray"
            assert stat.S_IMODE(session.parent.parent.stat().st_mode) == 0o700
            sockets = [p for p in session.glob("sockets/*") if p.is_socket()]
            assert sockets
            assert not any(p.stat().st_mode & stat.S_IWOTH for p in sockets)
            pids = descendants(driver.pid) | {driver.pid}
            assert reachable(pids) == []
            file = ours / ".ray" / "auth_token"
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
            assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
            token = file.read_text()
            assert len(token) == 64
            for pid in pids:
                assert token not in Path(f"/proc/{pid}/cmdline").read_text(), "all users see it"
            for env in (
                environment(theirs),
                environment(theirs, RAY_AUTH_MODE="token", RAY_AUTH_TOKEN="b" * 64),
            ):
                refused = ask(address, env)
                assert refused.returncode
                assert "Authentication token is missing or incorrect" in refused.stderr
            answered = ask(address, environment(ours, RAY_AUTH_MODE="token"))
            assert answered.stdout == "1\n", answered.stderr
            every_port_refuses(pids)
        finally:
            _, said = driver.communicate("\n", timeout=60)
    assert said.count("RAY_AUTH_MODE=disabled is not followed: a Ray cluster that hrfs") == 1
    assert token not in said


def every_port_refuses(pids: set[int]) -> None:
    """Each port of the processes refuses a call that it knows for want of a token."""
    refusals = {port: answers(port) for port in ports(pids)}
    assert len(refusals) >= 4
    for port, told in refusals.items():
        assert told <= {"UNIMPLEMENTED", "UNAUTHENTICATED", "HTTP 401"}, (port, told)
        assert told & {"UNAUTHENTICATED", "HTTP 401"}, (port, told)


def ports(pids: set[int]) -> set[int]:
    from launcher.launcher_program import LISTENING, _links

    sockets = {link for pid in pids for link in _links(pid)}
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path("/proc/net", table).read_text().splitlines()[1:]:
            _, local, _, state, *_, inode = line.split()[:10]
            if state == LISTENING and f"socket:[{inode}]" in sockets:
                found.add(int(local.rpartition(":")[2], 16))
    return found


def answers(port: int) -> set[str]:
    """What a caller without a token is told at ``port``: gRPC's codes, or else HTTP's."""
    import grpc

    told = set()
    for name in CALLS:
        with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
            call = channel.unary_unary(f"/ray.rpc.{name}")
            try:
                call(b"", timeout=5)
            except grpc.RpcError as error:
                told.add(error.code().name)
            else:
                told.add(f"answered {name}")
    return {http_answer(port)} if told == {"UNAVAILABLE"} else told


def http_answer(port: int) -> str:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/", data=b"", timeout=5) as reply:
            return f"HTTP {reply.status}"
    except urllib.error.HTTPError as error:
        with error:
            return f"HTTP {error.code}"


def test_a_token_that_others_could_read_is_kept_from_them(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from hrfs.tuning.trust import keep_private_token

    file = tmp_path / "token"
    file.write_text("as it was")
    file.chmod(0o644)
    with caplog.at_level(logging.INFO):
        keep_private_token(file)
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == ("as it was", 0o600)
    assert caplog.messages == [f"{file} could be read by other users, and no longer can"]
    with caplog.at_level(logging.INFO):
        keep_private_token(file)
    assert len(caplog.messages) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["token"]


def test_a_home_that_cannot_hold_a_token_is_told(tmp_path: Path) -> None:
    from hrfs.tuning.trust import keep_private_token

    (tmp_path / "home").write_text("no folder")
    with pytest.raises(ConfigError, match=r"^Ray's token=.*auth_token: must be a file that you al"):
        keep_private_token(tmp_path / "home" / ".ray" / "auth_token")


def test_a_token_file_that_is_not_there_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hrfs.tuning.trust import want_token

    monkeypatch.delenv("RAY_AUTH_TOKEN", raising=False)
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"^RAY_AUTH_TOKEN_PATH=.*none: is no file that can be r"):
        want_token()


def test_the_folder_of_sessions_must_be_the_users_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from hrfs.tuning.trust import private_session_folder

    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path))
    folder = tmp_path / f"hrfs-{os.getuid()}"
    assert private_session_folder() == private_session_folder() == folder / "ray"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    folder.chmod(0o711)
    message = r"^RAY_TMPDIR=.*: must be a folder of yours that nobody else may enter; set RAY_TMPDI"
    with pytest.raises(ConfigError, match=message):
        private_session_folder()
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    with pytest.raises(ConfigError, match=message):
        private_session_folder()
    monkeypatch.setenv("RAY_TMPDIR", str(tmp_path / "none"))
    with pytest.raises(ConfigError, match=r"cannot be made for Ray's sessions \(No such file or d"):
        private_session_folder()


@pytest.mark.parametrize(
    ("mode", "addresses", "line"),
    [
        ("token", ["127.0.0.1"], None),
        ("token", ["127.0.0.1", "10.0.0.2"], "the Ray cluster at h:1 listens beyond this machine, "
         "and its token travels unencrypted: keep its ports within a network that you trust"),
        (None, ["::1"], "the Ray cluster at h:1 wants no token: every user of this machine can "
         "run code there; set one"),
        ("disabled", ["10.0.0.2"], "the Ray cluster at h:1 wants no token: whoever reaches its "
         "ports can run code there; set one"),
    ],
)  # fmt: skip
def test_who_may_use_a_joined_cluster_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    mode: str | None,
    addresses: list[str],
    line: str | None,
) -> None:
    import ray

    from hrfs.tuning.trust import warn_of_trust

    nodes = [{"NodeManagerAddress": address, "Alive": True} for address in addresses]
    gone = {"NodeManagerAddress": "10.9.9.9", "Alive": False}
    monkeypatch.setattr(ray, "nodes", lambda: [*nodes, gone])
    if mode is None:
        monkeypatch.delenv("RAY_AUTH_MODE", raising=False)
    else:
        monkeypatch.setenv("RAY_AUTH_MODE", mode)
    warn_of_trust("h:1", "set one")
    assert caplog.messages == ([] if line is None else [line])


JOIN = """
import json, logging, os, sys
import ray
os.environ.update(json.loads(sys.argv[2]))  # after Ray was imported, as a launcher's token_file
logging.basicConfig(format="%(name)s: %(message)s")
from hrfs.experiment.cluster import ClusterSettings
from hrfs.tuning.session import cluster
with cluster(ClusterSettings(mode="address", address=sys.argv[1], answer_within_s=30)):
    print(len(ray.nodes()))
"""


@pytest.mark.slow
def test_joining_says_once_who_may_run_code_there(ray_cluster: Any, tmp_path: Path) -> None:
    import ray
    from ray._private.authentication.authentication_utils import is_token_auth_enabled

    address = ray_cluster.address
    known = {k: v for k, v in os.environ.items() if k.startswith("RAY_AUTH")}
    done = subprocess.run(
        [sys.executable, "-c", JOIN, address, json.dumps(known)], env=environment(tmp_path),
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == len(ray.nodes())
    said = [line for line in done.stderr.splitlines() if line.startswith("hrfs: the Ray cluster")]
    beyond = any(not n["NodeManagerAddress"].startswith("127.") for n in ray.nodes())
    told = is_token_auth_enabled()
    assert len(said) == (1 if beyond or not told else 0), done.stderr
    assert all(("wants no token" in line) is not told for line in said)
