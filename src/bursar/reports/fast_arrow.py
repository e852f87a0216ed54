"""Import Arrow without numpy, which no command needs.

Arrow imports numpy if it can, and works without it. The plain twin is ``import pyarrow``.
tests/reports/test_fast_arrow.py holds the answers equal. Gain: 20 % of the CPU time of a cold `bursar sql`.
"""

import sys


def import_arrow() -> None:
    """Import Arrow as if numpy were not installed, unless the process has one of the two already.

    A later ``import numpy`` works. Arrow's conversions to and from numpy, which Bursar does not use, do not.
    """
    if "numpy" in sys.modules or "pyarrow" in sys.modules:
        return
    # None makes an import fail: https://docs.python.org/3/reference/import.html#the-module-cache
    sys.modules["numpy"] = None  # type: ignore[assignment]  # the module cache may hold None, which typeshed omits
    try:
        import pyarrow  # noqa: F401  # imported for the module cache
    finally:
        del sys.modules["numpy"]
