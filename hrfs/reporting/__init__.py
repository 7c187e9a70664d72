"""What a run leaves behind and shows: files, TensorBoard, the console."""

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
