"""The priority of processes that answer questions or write the lake: payments get the processor first."""

import os
from typing import Final

NICENESS: Final = 19
"""The lowest priority. While a portal computes too, Linux gives such a process about a sixtieth of a processor."""


def lower_priority() -> None:
    """Give this process and its threads the lowest priority. A process keeps it until its end."""
    os.setpriority(os.PRIO_PROCESS, 0, NICENESS)
