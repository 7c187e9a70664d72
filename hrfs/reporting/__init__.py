"""What a run leaves behind and shows: files, TensorBoard, the console.

Names are imported when they are first asked for: TensorBoard's writer takes longer to import than
all the rest, and who reads a file has no use for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hrfs.reporting.assembly import make_observers, write_final
    from hrfs.reporting.consistency import check_consistency
    from hrfs.reporting.console import Console
    from hrfs.reporting.environment import write_environment
    from hrfs.reporting.farewell import print_summary
    from hrfs.reporting.history import History
    from hrfs.reporting.slices_csv import SliceCsv
    from hrfs.reporting.slices_read import read_slices
    from hrfs.reporting.summary import summarise
    from hrfs.reporting.tensorboard import TensorBoard
    from hrfs.reporting.trials_csv import TrialsCsv

_MODULES = {
    "Console": "hrfs.reporting.console",
    "History": "hrfs.reporting.history",
    "SliceCsv": "hrfs.reporting.slices_csv",
    "TensorBoard": "hrfs.reporting.tensorboard",
    "TrialsCsv": "hrfs.reporting.trials_csv",
    "check_consistency": "hrfs.reporting.consistency",
    "make_observers": "hrfs.reporting.assembly",
    "print_summary": "hrfs.reporting.farewell",
    "read_slices": "hrfs.reporting.slices_read",
    "summarise": "hrfs.reporting.summary",
    "write_environment": "hrfs.reporting.environment",
    "write_final": "hrfs.reporting.assembly",
}
__all__ = [
    "Console",
    "History",
    "SliceCsv",
    "TensorBoard",
    "TrialsCsv",
    "check_consistency",
    "make_observers",
    "print_summary",
    "read_slices",
    "summarise",
    "write_environment",
    "write_final",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
