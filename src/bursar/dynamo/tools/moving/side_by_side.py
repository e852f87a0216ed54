"""Run coroutines at once; the first one that fails ends the others, and its error is raised alone."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any


async def run_at_once(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run ``works`` until all have ended.

    Raises the error of the first one that fails, instead of an ExceptionGroup.
    """
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as failed:
        raise failed.exceptions[0] from None
