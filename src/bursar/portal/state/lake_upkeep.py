"""Read how far the lake is complete and how it was verified, for /health and the metrics.

The reports process writes these figures to a file (:mod:`bursar.reports.lake.upkeep`). So a portal reads them without
asking that process, and they grow old when it does not run.
"""

from bursar.clock import Clock
from bursar.reports.lake.upkeep import Upkeep, UpkeepFile


class LakeUpkeep:
    """The upkeep of the lake, which must be verified every ``interval_s``."""

    def __init__(self, record: UpkeepFile, clock: Clock, interval_s: float) -> None:
        self._record = record
        self._clock = clock
        self._interval_s = interval_s
        self._running_since = clock()

    def read(self) -> Upkeep:
        """Return the present figures."""
        return self._record.read()

    def problem(self) -> str | None:
        """Return why the lake needs a person, or None."""
        return self.read().problem(self._clock(), self._interval_s, self._running_since)
