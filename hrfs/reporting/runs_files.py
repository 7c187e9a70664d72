"""The files of one run's folder, whole or told why not."""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from hrfs.experiment.errors import ConfigError
from hrfs.experiment.files import write_atomically
from hrfs.reporting.cells import one_line
from hrfs.reporting.runs_metrics import check_summary
from hrfs.reporting.summary import FORMAT

CONFIG = "config.yaml"
OVERRIDES = "overrides.yaml"
SUMMARY = "summary.json"
SLICES = "slices.csv"
FAILURE = "failure.json"
HYDRA = ".hydra"
LAUNCHERS_RECORDS = f"{HYDRA}/job_*.json"
"""Where the launcher ``ray_tune`` keeps how each job ended, also one whose process died."""

_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_NONSENSE = (ValueError, RecursionError)
"""What readers of JSON and YAML raise beside their own: a number of too many digits, a date that
is none, lists nested too deeply."""
_NO_SUMMARY = "it has no summary.json, so it was killed or is still running"


@dataclass(frozen=True, slots=True)
class RunFiles:
    """A run that came to an end and told of it."""

    folder: Path
    config: Mapping[str, Any]
    summary: Mapping[str, Any]
    choices: Mapping[str, str] = field(default_factory=dict)
    """Configuration group to the option that was chosen."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A run that no figure is taken from, and why."""

    folder: Path
    reason: str


def is_run(folder: Path) -> bool:
    """Whether a run was ever started in ``folder``."""
    if any((folder / name).exists() for name in (HYDRA, SLICES, FAILURE)):
        return True
    return (folder / CONFIG).is_file() and (folder / OVERRIDES).is_file()


def read_files(folder: Path) -> RunFiles | LeftOut:
    """The files of one run.

    Raises:
        ConfigError: a newer hrfs has written them.
    """
    try:
        summary = json.loads((folder / SUMMARY).read_bytes())
    except FileNotFoundError:
        return LeftOut(folder, _why_unfinished(folder))
    except (OSError, *_NONSENSE) as error:
        return LeftOut(folder, f"its {SUMMARY} cannot be read ({one_line(str(error))})")
    _refuse_newer(folder / SUMMARY, summary)
    fault = check_summary(summary)
    if fault:
        return LeftOut(folder, f"its {SUMMARY} is not that of a run ({fault})")
    try:
        config = yaml.load((folder / CONFIG).read_bytes(), Loader=_Loader)
    except (OSError, yaml.YAMLError, *_NONSENSE) as error:
        return LeftOut(folder, f"its {CONFIG} cannot be read ({one_line(str(error))})")
    if not isinstance(config, dict):
        return LeftOut(folder, f"its {CONFIG} is not that of a run")
    return RunFiles(folder, config, summary, _choices(folder, summary))


def _refuse_newer(path: Path, summary: Any) -> None:
    written = summary.get("format") if isinstance(summary, dict) else None
    if isinstance(written, int) and written > FORMAT:
        rule = f"is of format {written}, and this hrfs reads those up to {FORMAT}"
        raise ConfigError(SUMMARY, path, rule, "use the hrfs that wrote it, or a newer one")


def _choices(folder: Path, summary: Mapping[str, Any]) -> dict[str, str]:
    """From Hydra's own record or, if that was switched off, from the labels of the summary."""
    try:
        hydra = yaml.load((folder / HYDRA / "hydra.yaml").read_bytes(), Loader=_Loader)
        found = hydra["hydra"]["runtime"]["choices"]
        return {g: str(name) for g, name in found.items() if not g.startswith("hydra/") and name}
    except (OSError, yaml.YAMLError, LookupError, TypeError, AttributeError, *_NONSENSE):
        labels = summary["labels"]
        known = ("experiment", "model", "dataset", "scheduler")
        return {group: str(labels[group]) for group in known if labels.get(group)}


def write_failure(folder: Path, error: BaseException) -> None:
    """Leave word in ``folder`` of the exception that ended the job, with its traceback.

    A folder with a run's summary in it is another job's, and left alone.

    Raises:
        OSError: the folder cannot be written.
    """
    if (folder / SUMMARY).exists():
        return
    told = {
        "reason": one_line(f"{type(error).__name__}: {error}"),
        "traceback": "".join(traceback.format_exception(error)),
    }
    write_atomically(folder / FAILURE, json.dumps(told, indent=2) + "\n")


def _why_unfinished(folder: Path) -> str:
    """As the job itself told or else, of one that could not, as the launcher did."""
    for told in (folder / FAILURE, *sorted(folder.glob(LAUNCHERS_RECORDS))):
        try:
            record = json.loads(told.read_bytes())
            if record.get("status", "FAILED") == "FAILED" and record["reason"]:
                return f"it failed: {record['reason']}"
        except FileNotFoundError:
            continue
        except (OSError, KeyError, TypeError, AttributeError, *_NONSENSE) as error:
            return f"{_NO_SUMMARY}; its {told.name} cannot be read ({one_line(str(error))})"
    return _NO_SUMMARY
