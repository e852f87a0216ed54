"""Import Arrow without numpy, which no command needs.

Arrow imports numpy if it can, and works without it. The plain twin is ``import pyarrow``.
tests/reports/test_fast_arrow.py holds the answers equal. Gain: 20 % of the CPU time of a cold `bursar sql`.
"""

import os
import sys
from typing import Final

_POOL_VARIABLE: Final = "ARROW_DEFAULT_MEMORY_POOL"


def use_system_memory() -> None:
    """Let Arrow use the allocator of the system, if it is not imported yet and the environment names no other.

    Arrow's own allocator keeps freed memory in each thread: a writer of the lake that needs 320 MB then has 480 MB.
    Source: https://arrow.apache.org/docs/cpp/env_vars.html
    """
    if "pyarrow" not in sys.modules:
        os.environ.setdefault(_POOL_VARIABLE, "system")


def import_arrow() -> None:
    """Import Arrow as if numpy were not installed, unless the process has one of the two already.

    A later ``import numpy`` works. Arrow's conversions to and from numpy, which Bursar does not use, do not.
    """
    use_system_memory()
    if "numpy" in sys.modules or "pyarrow" in sys.modules:
        return
    # None makes an import fail: https://docs.python.org/3/reference/import.html#the-module-cache
    sys.modules["numpy"] = None  # type: ignore[assignment]  # the module cache may hold None, which typeshed omits
    try:
        import pyarrow  # noqa: F401  # imported for the module cache
    finally:
        del sys.modules["numpy"]
