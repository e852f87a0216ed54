"""Virtual time: an event loop that never waits. When nothing is ready, its clock jumps to the next timer.

    real loop      |-- run ready --|· · · · · waits 20 s · · · · ·|-- run ready --|
    virtual loop   |-- run ready --||-- run ready --|      (time() moved by 20 s)

``asyncio.sleep``, ``asyncio.timeout`` and ``loop.call_later`` work unchanged, and everything runs in an order that
depends on nothing but the program and its seed. A loop with nothing ready and no timer left would wait for ever: that
is a deadlock of the simulated system, and is raised as one.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

EPOCH_S = 1_795_000_000.0
"""Where virtual time begins, Unix seconds: a day in November 2026, so that periods and fee versions mean something."""


class Deadlock(RuntimeError):
    """Everything waits for something that can no longer happen."""


class _JumpingSelector(selectors.SelectSelector):
    """Reports no I/O ever, and turns the wait that the loop asks for into a jump of the clock."""

    def __init__(self, jump: Callable[[float], None]) -> None:
        super().__init__()
        self._jump = jump

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
        return self._virtual_s

    def clock(self) -> float:
        """The :data:`bursar.clock.Clock` of everything that runs on this loop."""
        return EPOCH_S + self._virtual_s


def run_virtual(main: Callable[[VirtualLoop], Coroutine[Any, Any, T]]) -> T:
    """Runs ``main(loop)`` to its end on a new virtual loop, ends what it left running, and gives its result.

    Raises:
        Deadlock: when ``main`` waits for something that can no longer happen.
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
