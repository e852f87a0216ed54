"""Run the programs of docs/examples, in Python and Node, as a reader of the page would."""

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "docs" / "examples"
ANSWER_S_MAX = 120.0
NODE = shutil.which("node")
LANGUAGES = [
    pytest.param("py", id="python"),
    pytest.param(
        "mjs", id="node", marks=pytest.mark.skipif(NODE is None, reason="node is not installed on this machine")
    ),
]
"""The endings of the programs' names, as parameters of a test."""


def command(program: str, *arguments: str) -> list[str]:
    interpreter = sys.executable if program.endswith(".py") else NODE or "node"
    return [interpreter, str(EXAMPLES / program), *arguments]


@contextlib.asynccontextmanager
async def running(program: str, *arguments: str, **environment: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *command(program, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def line_of(process: asyncio.subprocess.Process) -> str:
    assert process.stdout is not None
    async with asyncio.timeout(ANSWER_S_MAX):
        return (await process.stdout.readline()).decode()
