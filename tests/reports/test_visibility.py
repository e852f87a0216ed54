"""Acknowledged means visible: every answer has each write that was acknowledged before its question, once.

``VISIBILITY_PAIRS`` runs more pairs of a write and a question than the 1,000 of a test run, ``VISIBILITY_QUESTIONS``
sets how many questions follow each write at once: a pair costs less with more of them. ``VISIBILITY_SEED`` runs other
histories (`make nightly`).
"""

import asyncio
import os
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from bursar.reports.current import Current
from bursar.reports.tail.tail import Tail
from tests.support.reports.visibility import WRITERS, Figures, Visibility, small_lake

PAIRS: Final = int(os.environ.get("VISIBILITY_PAIRS", "1000"))
QUESTIONS: Final = int(os.environ.get("VISIBILITY_QUESTIONS", "5"))
FIRST_SEED: Final = int(os.environ.get("VISIBILITY_SEED", "20"))
PARTS: Final = 4
"""Tests that share the pairs, so that they run at the same time."""
PAIRS_OF_A_HISTORY: Final = 250
"""With one question after each write."""
SEEDS_OF_A_PART: Final = 1_000
REFUSED_MAX: Final = 0.05
"""The share of questions that may find the lake busy: the bounds of these histories are hundreds of rows."""


async def live(history: Visibility, pairs: int) -> None:
    async with small_lake():
        await history.run(pairs)


@pytest.mark.parametrize("part", range(PARTS))
def test_every_acknowledged_write_is_in_every_later_answer_once(part: int) -> None:
    figures, seed = Figures(), FIRST_SEED + part * SEEDS_OF_A_PART
    while figures.pairs < PAIRS // PARTS:
        seed += 1
        with TemporaryDirectory() as folder:
            history = Visibility(Path(folder), seed, figures, follows_index=seed % 3 == 2, questions=QUESTIONS)
            asyncio.run(live(history, min(PAIRS_OF_A_HISTORY * QUESTIONS, PAIRS // PARTS)))
        assert (figures.stale, figures.doubled, figures.disagreeing) == ([], [], []), f"seed {seed}"
    assert figures.refused <= REFUSED_MAX * figures.pairs
    print(figures.line())


async def planted(folder: Path) -> Figures:
    """Write and ask, write the lake, and write and ask again."""
    figures = Figures()
    history = Visibility(folder, 1, figures, follows_index=False)
    async with small_lake():
        await history.open()
        try:
            for first in (0, WRITERS):
                await asyncio.gather(*(history.pair(first + number + 1) for number in range(WRITERS)))
                await history.server.write_lake()
        finally:
            await history.close()
    return figures


async def test_the_judge_finds_an_answer_that_is_stale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def nothing_new(self: Current, tail: Tail) -> Tail:
        return tail

    monkeypatch.setattr(Current, "_caught_up", nothing_new)
    assert (await planted(tmp_path)).stale


async def test_the_judge_finds_a_row_that_is_there_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Tail, "rebase", lambda self, positions: None)
    assert (await planted(tmp_path)).doubled
