"""What a user of the launcher can mend, told in one line in every Hydra program."""

from __future__ import annotations

from hydra.errors import CompactHydraException

from hrfs.experiment.errors import ConfigError


class LauncherError(ConfigError, CompactHydraException):
    """A key of ``hydra.launcher``, or what belongs to it, cannot be used as given.

    Hydra prints a ``CompactHydraException`` without a traceback and ends with exit code 1; the
    command line of hrfs takes it for the :class:`ConfigError` that it is (exit code 2).
    """
