"""Why a job's process died, in one line from the many that Ray writes."""

from __future__ import annotations

import re

_NODE = re.compile(r"node (?:has )?died|its node|node was terminated", re.IGNORECASE)
_MEMORY = re.compile(r"running low on memory|OutOfMemory|memory (?:monitor|usage threshold)")
_SUDDEN = re.compile(r"connection error code 2|End of file")
_DETAIL = re.compile(r"Worker exit detail: (.*?)(?: Some common causes|$)", re.DOTALL)


def cause_of_death(error: str) -> str:
    """What happened to the process, from the text of Ray's error."""
    if _MEMORY.search(error):
        return "its process was killed because its node ran out of memory"
    if _NODE.search(error):
        return "its node died"
    if _SUDDEN.search(error):
        return "its process ended suddenly (killed, crashed, or left by os._exit)"
    detail = _DETAIL.search(error)
    said = " ".join((detail[1] if detail else error.splitlines()[-1]).split())
    return f"its process was lost ({said.rstrip('.')})"
