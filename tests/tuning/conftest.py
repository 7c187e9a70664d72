"""Fixtures of the adapter tests."""

from harness import run_counter

__all__ = ["run_counter"]
