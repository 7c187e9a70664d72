"""``hydra/launcher=ray_tune``: a multirun's jobs as the trials of one Ray Tune experiment."""

__version__ = "1.0.0"
