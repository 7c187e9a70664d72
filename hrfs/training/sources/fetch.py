"""Fetching published archives by torchvision, one process at a time."""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock

from hrfs.experiment.errors import ConfigError


def fetch_with_torchvision(dataset: str, root: Path, remedy: str) -> None:
    """Download ``torchvision.datasets.<dataset>`` into ``root`` and unpack it.

    Several workers of one node may ask at once; a lock file in ``root`` lets one fetch while
    the others wait, and torchvision skips what is already there.

    Raises:
        ConfigError: no network, a full disk, a damaged download, or no write permission.
    """
    import torchvision.datasets

    try:
        root.mkdir(parents=True, exist_ok=True)
        with FileLock(root / ".download.lock"):
            getattr(torchvision.datasets, dataset)(str(root), download=True)
    except (OSError, RuntimeError) as error:  # URLError is an OSError
        raise ConfigError(
            "dataset.download", "true", f"{dataset} could not be fetched ({error})", remedy
        ) from error
