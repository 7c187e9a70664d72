"""hrfs: population-based training on clusters whose machines are unlike."""

__version__ = "0.1.0"
