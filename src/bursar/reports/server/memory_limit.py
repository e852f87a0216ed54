"""Limit the memory of the reports process: DuckDB's own limit does not count what functions allocate."""

import os
import resource
from pathlib import Path
from typing import Final

MORE_BYTES_MAX: Final = 1536 << 20
"""The memory that the process may allocate after its start: DuckDB's limit of 1 GB, the tail, and a commit."""
_STATUS: Final = Path("/proc/self/status")
_KIB: Final = 1024


def allocate_as_needed() -> None:
    """Let Arrow allocate with the system's allocator. Call it before Arrow is loaded.

    Arrow's own allocator takes 1 GB of private memory when it is first used, and the limit would count all of it.
    """
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")


def limit_memory(more_bytes: int = MORE_BYTES_MAX) -> int | None:
    """Limit this process's data to its present size and ``more_bytes``, and return the limit in bytes.

    Linux counts private writable memory (RLIMIT_DATA). RLIMIT_AS would count address space that allocators reserve and
    do not use. Returns None and sets no limit if the present size is not known (macOS).
    """
    if not _STATUS.exists():
        return None
    lines = dict(line.split(":", 1) for line in _STATUS.read_text(encoding="ascii", errors="replace").splitlines())
    present = int(lines["VmData"].split()[0]) * _KIB
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit = present + more_bytes
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit, hard))
    return limit
