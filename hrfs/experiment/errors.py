"""Errors that a user can mend, each told in one line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

EXIT_BAD_INPUT = 2
"""Exit code of the command line after a :class:`ConfigError`."""
EXIT_INTERRUPTED = 130
"""Exit code after Ctrl-C, as a shell gives it."""


class ConfigError(ValueError):
    """Something the user gave cannot be run: which key, which value, which rule, what to do.

    Raised before a cluster starts; the command line prints ``str(error)`` and exits with code 2.
    """

    def __init__(self, key: str, value: Any, rule: str, remedy: str = "") -> None:
        self.key = key
        self.value = value
        self.rule = rule
        self.remedy = remedy
        super().__init__(" ".join(self._line().split()))

    def _line(self) -> str:
        line = f"{self.key}={self.value!s}: {self.rule}"
        return f"{line}; {self.remedy}" if self.remedy else line

    def __reduce__(self) -> tuple[type[ConfigError], tuple[str, Any, str, str]]:
        return type(self), (self.key, self.value, self.rule, self.remedy)


class StorageError(RuntimeError):
    """A file without which a run cannot go on could not be written: which, and why.

    Nothing that was written before is damaged; once there is space, the run can be resumed.
    """

    def __init__(self, path: Path | str, cause: str) -> None:
        self.path = str(path)
        self.cause = " ".join(cause.split())
        super().__init__(f"{self.path} cannot be written: {self.cause}")

    @classmethod
    def of(cls, path: Path | str, error: OSError) -> StorageError:
        """In the words of the operating system."""
        return cls(path, error.strerror or str(error))

    def __reduce__(self) -> tuple[type[StorageError], tuple[str, str]]:
        return type(self), (self.path, self.cause)
