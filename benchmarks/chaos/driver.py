"""``python -m hrfs`` with the runner of the chaos benchmark in place of Lightning's.

    python -m benchmarks.chaos.driver experiment=chaos ...
    python -m benchmarks.chaos.driver resume=FOLDER

Everything else is the command itself: composing, checking, resuming, scheduling, reporting.
"""

from __future__ import annotations

from unittest.mock import patch

from hrfs.cli import build
from hrfs.cli.main import main

RUNNER = "benchmarks.chaos.runner:build"
FINAL = "benchmarks.chaos.runner:evaluate_winner"

if __name__ == "__main__":
    with (
        patch.object(build, "RUNNER_FACTORY", RUNNER),
        patch.object(build, "FINAL_EVALUATION", FINAL),
    ):
        main()
