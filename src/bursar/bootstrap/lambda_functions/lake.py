"""The function that writes the lake on a schedule, and proves that it equals the table.

| event | work |
|---|---|
| ``{}`` | one write |
| ``{"verify": "recent"}`` | compares the changes of the last two days; if they differ, everything |
| ``{"verify": true}`` | compares everything |
"""

import logging
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.lambda_functions.embedded_metrics import EmbeddedMetrics
from bursar.bootstrap.lambda_functions.environment import FunctionParts, require_lake
from bursar.clock import iso_ms

if TYPE_CHECKING:
    from bursar.reports.reports import Reports

LATE_S: Final = 3 * 3600.0
"""A change that waited longer than this for the lake raises an alert."""
RECENT_S: Final = 2 * 86_400.0
"""The changes that a daily proof compares; one that did not run is made up for by the next."""
_HOUR_S: Final = 3600
_DAY_S: Final = 86_400

_log = logging.getLogger(__name__)


class LakeDiffers(Exception):
    """A proof found months of the lake that differed from the table, and has written them again."""


class LakeWriting:
    """The handler of the lake's schedules. Its reply reports the result of the write or the verification."""

    def __init__(self) -> None:
        """Create a handler with a new instance."""
        self.instance = FunctionParts(_parts, require_lake).instance

    def __call__(self, event: Any, context: Any) -> dict[str, Any]:
        """Write the lake, or verify it. Errors are raised, and the next event of the schedule continues.

        A difference is an error too (:class:`LakeDiffers`), so that the alarm on errors notices it.
        """
        verify = event.get("verify") if isinstance(event, dict) else None
        if verify == "recent":
            return self.instance.run(partial(_verified, recent_s=RECENT_S))
        return self.instance.run(_verified if verify is True else _written)


async def _parts(parts: Composition, metrics: EmbeddedMetrics) -> "tuple[Reports, EmbeddedMetrics]":
    return await parts.reports(answers=False), metrics


async def _written(parts: "tuple[Reports, EmbeddedMetrics]") -> dict[str, Any]:
    reports, metrics = parts
    written = await reports.write_lake()
    now = reports.clock()
    age_s = 0.0 if written.oldest is None else now - written.oldest
    is_late = age_s > LATE_S
    # A metric costs money in each hour in which it is written. Lambda's own metrics show that a pass ran or failed.
    if is_late or now % _DAY_S < _HOUR_S:
        metrics.add("WatermarkAge", age_s)
    if is_late:
        _log.error(
            "the lake was late: a change waited %.0f hours for it", age_s / _HOUR_S, extra={"alert": "lake late"}
        )
    return {"rows": written.rows, "watermark": None if written.watermark is None else iso_ms(written.watermark)}


async def _verified(parts: "tuple[Reports, EmbeddedMetrics]", recent_s: float | None = None) -> dict[str, Any]:
    reports, _ = parts
    found = await reports.verify_lake(recent_s=recent_s)
    if not found.equal:
        raise LakeDiffers("\n".join(found.lines()))
    return {"equal": True, "lines": found.lines()}


handler = LakeWriting()
