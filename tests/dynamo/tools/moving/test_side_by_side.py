"""Works side by side fail with the error of the first that fails."""

import asyncio

import pytest

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.tools.moving.side_by_side import run_at_once


async def test_the_first_error_is_raised_by_itself_and_ends_the_others() -> None:
    ended = []

    async def waiting() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("waiting")

    async def failing() -> None:
        raise DynamoError("AccessDeniedException", "no")

    with pytest.raises(DynamoError, match="no"):
        await run_at_once([waiting(), failing()])
    assert ended == ["waiting"]
    await run_at_once([])
