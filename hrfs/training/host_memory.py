"""How much memory this machine has to spare for a dataset; imports no torch."""

from __future__ import annotations

from pathlib import Path

from hrfs.experiment.errors import ConfigError

ROOM = 0.5
"""Part of this machine's free memory that a split of a dataset may take up."""
PROC, CGROUP = Path("/proc"), Path("/sys/fs/cgroup")


def host_room() -> int | None:
    """Bytes that a split may take up here; None where nobody tells."""
    free = free_bytes()
    return None if free is None else int(ROOM * free)


def require_room(size_bytes: int, room_bytes: int | None, where: str) -> None:
    """What ``dataset.device_resident=true`` asks for.

    Raises:
        ConfigError: there is less room than that.
    """
    if room_bytes is not None and size_bytes > room_bytes:
        raise ConfigError(
            "dataset.device_resident",
            "true",
            f"the training images take {size_text(size_bytes)} and {where} has room for "
            f"{size_text(room_bytes)}",
            "auto and false have them read by loader processes",
        )


def size_text(size_bytes: float) -> str:
    """A size as users read it, e.g. 154 MB."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if size_bytes < 1000:
            return f"{size_bytes:.4g} {unit}"
        size_bytes /= 1000
    return f"{size_bytes:,.0f} TB"


def free_bytes() -> int | None:
    """Bytes that may be taken without another's being swapped out; None where nobody tells.

    What a container or a batch system allows counts where it is less (control groups, version 2).
    Files that the system keeps in memory count as free, for it lets go of them.
    """
    meminfo = PROC / "meminfo"
    if not meminfo.exists():
        return None
    machine = _entries(meminfo.read_text().replace(":", ""))["MemAvailable"] * 1024
    return min([machine, *map(_left, _groups())])


def _groups() -> list[Path]:
    """The folders of our control group and of those around it that have a limit."""
    own = PROC / "self" / "cgroup"
    lines = own.read_text().splitlines() if own.exists() else []
    inner = next((line[3:].strip("/") for line in lines if line.startswith("0::")), "")
    folder = CGROUP / inner
    around = [folder, *(parent for parent in folder.parents if parent.is_relative_to(CGROUP))]
    return [group for group in around if _limit(group) is not None]


def _limit(group: Path) -> int | None:
    file = group / "memory.max"
    text = file.read_text().strip() if file.exists() else "max"
    return None if text == "max" else int(text)


def _left(group: Path) -> int:
    held = int((group / "memory.current").read_text())
    let_go = _entries((group / "memory.stat").read_text()).get("inactive_file", 0)
    limit = _limit(group)
    assert limit is not None, "asked of groups with a limit alone"
    return max(0, limit - held + let_go)


def _entries(text: str) -> dict[str, int]:
    """Lines of a name and a number."""
    lines = (line.split() for line in text.splitlines())
    return {words[0]: int(words[1]) for words in lines if len(words) > 1}
