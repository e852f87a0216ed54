"""Virtual time: an event loop that never waits. When no task is ready, its clock jumps to the next timer.

    real loop      |-- run ready --|· · · · · waits 20 s · · · · ·|-- run ready --|
    virtual loop   |-- run ready --||-- run ready --|      (time() moved by 20 s)

``asyncio.sleep``, ``asyncio.timeout`` and ``loop.call_later`` work unchanged, and the order of execution depends only
on the program and its seed. A loop without a ready task and without a timer would wait permanently: that is a deadlock
of the simulated system, and it is raised as one.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

EPOCH_S = 1_795_000_000.0
"""The start of virtual time in Unix seconds: a day in November 2026, so that periods and fee versions are realistic."""


class Deadlock(RuntimeError):
    """Every task waits for an event that can no longer happen."""


class _JumpingSelector(selectors.SelectSelector):
    """Never reports I/O, and converts each wait of the loop into a jump of the clock."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

    # Called by the loop when it has nothing to run.
    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise Deadlock("no task is ready and no timer is set")
        if timeout > 0:
            self._jump(timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose ``time()`` is virtual: seconds since :data:`EPOCH_S`."""

    def __init__(self) -> None:
        self._virtual_s = 0.0
        super().__init__(_JumpingSelector(self._jump))

    def _jump(self, seconds: float) -> None:
        self._virtual_s += seconds

    def time(self) -> float:
        """Return the virtual seconds since the loop began."""
        return self._virtual_s

    def clock(self) -> float:
        """Return the time, as the :data:`bursar.clock.Clock` of every part that runs on this loop."""
        return EPOCH_S + self._virtual_s


def run_virtual(main: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Run ``main(loop)`` on a new virtual loop, cancel the tasks that it left, and return its result.

    Raises:
        Deadlock: ``main`` waits for an event that can no longer happen.
    """
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(main(loop))
    finally:
        left = asyncio.all_tasks(loop)
        for task in left:
            task.cancel()
        if left:
            loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()
