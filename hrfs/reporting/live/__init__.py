"""The view of a run that refreshes in place: the run, its workers, its trials."""

from hrfs.reporting.live.view import LiveView

__all__ = ["LiveView"]
