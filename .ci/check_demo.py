"""What the demo promises: a winner above 0.95 on the test set, and records that agree.

check_demo.py FOLDER
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from hrfs.reporting import check_consistency, read_slices

folder = Path(sys.argv[1])
summary = json.loads((folder / "summary.json").read_text())
broken = check_consistency(read_slices(folder / "slices.csv"), summary)
assert not broken, broken
assert summary["status"] == "finished", summary["status"]
assert summary["test"]["test/acc"] > 0.95, summary["test"]
assert all(worker["slices"] > 0 for worker in summary["workers"]), "a worker was never used"
print(f"demo: test accuracy {summary['test']['test/acc']:.4f}, ratio {summary['ratio']:.3f}")
