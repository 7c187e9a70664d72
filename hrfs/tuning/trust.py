"""Who may use a Ray cluster: the token of one that we start, and what to know of one we join.

Ray reads ``RAY_AUTH_MODE`` when it is imported and keeps the token that it read. Both must be
read again after a change: :func:`follow_environment` does so by two private names.
"""

from __future__ import annotations

import contextlib
import ipaddress
import logging
import os
import secrets
import stat
import tempfile
from pathlib import Path

import ray
from ray._raylet import AuthenticationTokenLoader, Config  # type: ignore[attr-defined]

from hrfs.experiment.errors import ConfigError

log = logging.getLogger("hrfs")

MODE = "RAY_AUTH_MODE"
TOKEN = "RAY_AUTH_TOKEN"
TOKEN_PATH = "RAY_AUTH_TOKEN_PATH"
DEFAULT_FILE = Path(".ray", "auth_token")
"""Where Ray looks for a token last, within the home folder."""
TOKEN_BYTES = 32


def want_token() -> None:
    """Make the next cluster that this process starts refuse whoever lacks its token.

    The token is the user's own (``RAY_AUTH_TOKEN``, ``RAY_AUTH_TOKEN_PATH`` or
    ``~/.ray/auth_token``), or is made and kept in the last of these places.

    Raises:
        ConfigError: a token must be made, and the home folder cannot hold it; or
            ``RAY_AUTH_TOKEN_PATH`` names no file.
    """
    before = os.environ.get(MODE, "token")
    if before != "token":
        log.warning(
            "%s=%s is not followed: a Ray cluster that hrfs starts always wants a token",
            MODE,
            before,
        )
    named = os.environ.get(TOKEN_PATH)
    if not os.environ.get(TOKEN):
        if not named:
            keep_private_token(Path.home() / DEFAULT_FILE)
        elif not os.access(named, os.R_OK):  # Ray would end the process
            raise ConfigError(TOKEN_PATH, named, "is no file that can be read")
    os.environ[MODE] = "token"
    follow_environment()


def follow_environment() -> None:
    """Let Ray in this process read its token and whether to use one again."""
    Config.initialize("")
    AuthenticationTokenLoader.instance().reset_cache()


def keep_private_token(file: Path) -> None:
    """Make a token in ``file`` if there is none, and let nobody but the user read it.

    Ray makes one that everybody may read where the umask lets them, as it mostly does.

    Raises:
        ConfigError: the file cannot be written, or is another user's.
    """
    try:
        if not file.exists():
            _make_token(file)
        if file.stat().st_mode & 0o077:
            file.chmod(0o600)
            log.info("%s could be read by other users, and no longer can", file)
    except OSError as error:
        rule = f"must be a file that you alone can read ({error.strerror})"
        remedy = f"mend its permissions, or set {TOKEN} to a long random text"
        raise ConfigError("Ray's token", file, rule, remedy) from error


def _make_token(file: Path) -> None:
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=file.parent)  # readable by the user alone
    try:
        with os.fdopen(handle, "w") as stream:
            stream.write(secrets.token_hex(TOKEN_BYTES))
        with contextlib.suppress(FileExistsError):  # another run was faster: its token is as good
            file.hardlink_to(name)
    finally:
        Path(name).unlink()


def private_session_folder() -> Path:
    """A folder for Ray's sessions (sockets, logs, notes of failures) that only the user enters.

    Ray opens all folders of a session to everybody, so that another user of the machine could
    put a socket or a pickle of their own in place of one of the session's. The folder lies in
    ``RAY_TMPDIR``, else among the temporary files; its path is short, as sockets need.

    Raises:
        ConfigError: it cannot be made, or is there and is not the user's alone.
    """
    within = os.environ.get("RAY_TMPDIR") or tempfile.gettempdir()
    folder = Path(within) / f"hrfs-{os.getuid()}"
    remedy = "set RAY_TMPDIR to a folder of your own with a short path"
    try:
        with contextlib.suppress(FileExistsError):
            folder.mkdir(mode=0o700)
        found = folder.lstat()
    except OSError as error:
        rule = f"cannot be made for Ray's sessions ({error.strerror})"
        raise ConfigError("RAY_TMPDIR", folder, rule, remedy) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        rule = "must be a folder of yours that nobody else may enter"
        raise ConfigError("RAY_TMPDIR", folder, rule, remedy)
    return folder / "ray"


def warn_of_trust(address: str, remedy: str) -> None:
    """Say in one line who else may run code on the cluster that this process has joined.

    Nothing is said of one that wants a token and is reached from this machine alone.
    ``remedy`` says how a token is given.
    """
    beyond = not all(map(_is_loopback, _node_addresses()))
    if os.environ.get(MODE) != "token":
        who = "whoever reaches its ports" if beyond else "every user of this machine"
        log.warning(
            "the Ray cluster at %s wants no token: %s can run code there; %s", address, who, remedy
        )
    elif beyond:
        log.warning(
            "the Ray cluster at %s listens beyond this machine, and its token travels unencrypted: "
            "keep its ports within a network that you trust",
            address,
        )


def _node_addresses() -> list[str]:
    return [node["NodeManagerAddress"] for node in ray.nodes() if node["Alive"]]


def _is_loopback(address: str) -> bool:
    return ipaddress.ip_address(address).is_loopback
