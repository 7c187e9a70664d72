"""One JSON file per job: how it ended, what it returned, and what it was asked to do.

The file lies beside Hydra's own record of the job, ``<job>/.hydra/job_<number>.json``, so that
deleting a job's folder is enough to have the job run again. It is written when the job is handed
out (``STARTED``) and replaced when it ends. It is text that nothing executes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from glob import escape
from pathlib import Path
from typing import Any, Literal

from omegaconf import DictConfig, OmegaConf
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError, field_validator

from hrfs.experiment.files import write_atomically
from hydra_plugins.hrfs_ray_tune_launcher._values import NotKeptError, from_json, to_json

Ended = Literal["COMPLETED", "FAILED"]


class JobRecord(BaseModel):
    """What is known of one job of a sweep.

    ``overrides`` are those of the task, ``config`` the task's configuration as written:
    interpolations stand in it as such, so that neither the time nor the job's number nor the
    environment is part of it, and ``config_hash`` is its fingerprint. ``return_value`` is in the
    form of :mod:`_values`; ``value_kept`` is False if JSON cannot hold it, and ``reason`` then
    says why. Of a failed job ``reason`` is the error in one line. ``at`` is when this was
    written (ISO 8601, UTC).
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    format: Literal[1] = 1
    program: str
    job_num: int = Field(ge=0)
    overrides: tuple[str, ...]
    config: dict[str, JsonValue]
    config_hash: str
    status: Literal["STARTED", "COMPLETED", "FAILED"] = "STARTED"
    return_value: JsonValue = None
    value_kept: bool = False
    reason: str = ""
    at: str = Field(default_factory=lambda: datetime.now(timezone.utc).isoformat("T", "seconds"))

    @field_validator("program", "reason", mode="before")
    @classmethod
    def _readable(cls, text: str) -> str:
        return _utf8(text) if isinstance(text, str) else text

    @field_validator("return_value")
    @classmethod
    def _decodable(cls, encoded: JsonValue) -> JsonValue:
        from_json(encoded)
        return encoded

    def ended(self, status: Ended, value: object = None, reason: str = "") -> JobRecord:
        """The record of this job once it has ended, with what it returned or why it failed."""
        kept, encoded = status == "COMPLETED", None
        if kept:
            try:
                encoded = to_json(value)
            except NotKeptError as error:
                kept, reason = False, str(error)
        fields = self.model_dump(exclude={"at", "status", "return_value", "value_kept", "reason"})
        return JobRecord(
            **fields,
            status=status,
            return_value=encoded,
            value_kept=kept,
            reason=" ".join(reason.split()),
        )

    def value(self) -> Any:
        """What the job returned; None if that could not be kept."""
        return from_json(self.return_value)


@dataclass(frozen=True, slots=True)
class Damaged:
    """A record that cannot be relied upon, and why."""

    path: Path
    reason: str


def started(
    program: str, job_num: int, overrides: Sequence[str], task_cfg: DictConfig
) -> JobRecord:
    """The record of a job that is about to run."""
    config = plain_config(task_cfg)
    return JobRecord(
        program=program,
        job_num=job_num,
        overrides=tuple(_utf8(text) for text in overrides),
        config=config,
        config_hash=_fingerprint(config),
    )


def plain_config(task_cfg: DictConfig) -> dict[str, Any]:
    """The task's configuration as JSON types, interpolations as written, without ``hydra``."""
    plain = OmegaConf.to_container(task_cfg, resolve=False, enum_to_str=True)
    assert isinstance(plain, dict)
    return {_utf8(str(key)): _plain(value) for key, value in plain.items() if key != "hydra"}


def config_hash(task_cfg: DictConfig) -> str:
    """A fingerprint of the task's configuration as :func:`plain_config` gives it."""
    return _fingerprint(plain_config(task_cfg))


def record_path(job_dir: Path, output_subdir: str | None, job_num: int) -> Path:
    """Where the record lies: beside Hydra's, or hidden in the folder if Hydra keeps none.

    The number is part of the name, for ``hydra.sweep.subdir`` may give several jobs one folder.
    """
    if output_subdir is None:
        return job_dir / f".hydra_job_{job_num}.json"
    return job_dir / output_subdir / f"job_{job_num}.json"


def record_pattern(output_subdir: str | None) -> str:
    """The glob, from a job's folder, of :func:`record_path` of any number."""
    return ".hydra_job_*.json" if output_subdir is None else f"{escape(output_subdir)}/job_*.json"


def write_record(job_dir: Path, record: JobRecord, output_subdir: str | None = ".hydra") -> None:
    """Write ``record``, replacing the earlier one as a whole or not at all.

    Raises:
        OSError: the folder cannot be made or written.
    """
    path = record_path(job_dir, output_subdir, record.job_num)
    write_atomically(path, json.dumps(record.model_dump(), indent=2, allow_nan=False) + "\n")


def read_record(
    job_dir: Path, job_num: int, output_subdir: str | None = ".hydra"
) -> JobRecord | Damaged | None:
    """The record of one job: None if there is none."""
    return read_file(record_path(job_dir, output_subdir, job_num))


def read_file(path: Path) -> JobRecord | Damaged | None:
    """As :func:`read_record`, by the file's name."""
    try:
        if not path.exists():
            return None
        if not path.is_file():  # nor waited for, if it is a pipe
            return Damaged(path, "it is not a file")
        record = JobRecord.model_validate_json(path.read_bytes())
    except OSError as error:
        return Damaged(path, error.strerror or str(error))
    except ValidationError as error:
        return Damaged(path, _first_fault(error))
    except RecursionError:
        return Damaged(path, "it is nested too deeply")
    if not path.name.endswith(f"job_{record.job_num}.json"):
        return Damaged(path, f"it is that of job {record.job_num}")
    if record.config_hash != _fingerprint(record.config):
        return Damaged(path, "its configuration does not have its fingerprint")
    return record


def _first_fault(error: ValidationError) -> str:
    first = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    told = f"{place}: {first['msg']}" if place else str(first["msg"])
    return " ".join(told.split())


def _fingerprint(config: Mapping[str, Any]) -> str:
    return hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()


def _plain(value: Any) -> Any:
    """What YAML holds and JSON does not, as text; keys too."""
    if isinstance(value, dict):
        return {_utf8(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, str):
        return _utf8(value)
    if value is None or isinstance(value, bool | int) or _is_finite(value):
        return value
    return str(value)


def _is_finite(value: Any) -> bool:
    return isinstance(value, float) and value - value == 0


def _utf8(text: str) -> str:
    """Text that any reader of JSON takes; an argument may hold bytes of another encoding."""
    return text.encode(errors="backslashreplace").decode()
