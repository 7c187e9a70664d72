"""Measurements as commands: ``python -m benchmarks.<name>``. Each says its conditions."""
