"""Acknowledged means visible over real processes: HTTP and the command line, while SIGKILL ends the servers.

``VISIBLE_PAIRS`` and ``VISIBLE_SEED`` make another history (`make nightly` runs a long one).
"""

import os
from pathlib import Path
from typing import Final

from tests.support.reports.real_processes import RealHistory
from tests.support.reports.visibility import Figures

PAIRS: Final = int(os.environ.get("VISIBLE_PAIRS", "60"))
SEED: Final = int(os.environ.get("VISIBLE_SEED", "1"))
PAIRS_OF_A_HAPPENING: Final = 250
REFUSED_MAX: Final = 0.1
"""The share of questions and writes without a reply, beside those of each kill: a start takes seconds."""
REFUSED_OF_A_KILL_MAX: Final = 1_000


def test_each_acknowledged_write_is_in_every_later_answer_once(tmp_path: Path) -> None:
    figures = Figures()
    history = RealHistory(tmp_path, SEED, PAIRS, figures)
    history.run(max(1, PAIRS // PAIRS_OF_A_HAPPENING))
    print(figures.line(), dict(history.refusals.most_common(5)))
    assert (figures.stale, figures.doubled, figures.disagreeing) == ([], [], [])
    assert figures.pairs >= PAIRS
    assert figures.kills >= 2
    assert figures.refused <= REFUSED_MAX * figures.pairs + REFUSED_OF_A_KILL_MAX * figures.kills
