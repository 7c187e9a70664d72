"""hrfs: population-based training on clusters whose machines are unlike.

``hrfs.load_run(folder)`` reads a run's results. It is imported when it is first asked for: every
other part imports this module, and most have no use for pandas.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hrfs.loading import Run, load_run

__version__ = "0.1.0"
__all__ = ["Run", "__version__", "load_run"]


def __getattr__(name: str) -> Any:
    if name in ("Run", "load_run"):
        import hrfs.loading

        return getattr(hrfs.loading, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
