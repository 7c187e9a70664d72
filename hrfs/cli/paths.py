"""Where the configuration lies: inside an installed package, beside a checkout's."""

from __future__ import annotations

from pathlib import Path


def config_dir() -> Path:
    """Absolute path of ``conf``.

    A wheel carries it as ``hrfs/conf``; a checkout, plain or editable, has it at its top.

    Raises:
        FileNotFoundError: neither is there, so the installation is broken.
    """
    package = Path(__file__).resolve().parent.parent
    for candidate in (package / "conf", package.parent / "conf"):
        if (candidate / "config.yaml").is_file():
            return candidate
    raise FileNotFoundError(f"no conf/config.yaml in {package} or beside it")


def config_groups() -> list[str]:
    """Names of the groups that hrfs itself has, for suggestions."""
    return sorted(p.name for p in config_dir().iterdir() if p.is_dir() and p.name != "hydra")
