"""The function that writes the lake on a schedule, and with ``{"verify": true}`` proves that it equals the table."""

from typing import TYPE_CHECKING, Any

from bursar.bootstrap.composition import Composition
from bursar.bootstrap.lambda_functions.embedded_metrics import EmbeddedMetrics
from bursar.bootstrap.lambda_functions.environment import FunctionParts, require_lake
from bursar.clock import iso_ms, system_clock

if TYPE_CHECKING:
    from bursar.reports.reports import Reports


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
        verifies = isinstance(event, dict) and event.get("verify") is True
        return self.instance.run(_verified if verifies else _written)


async def _parts(parts: Composition, metrics: EmbeddedMetrics) -> "tuple[Reports, EmbeddedMetrics]":
    return await parts.reports(answers=False), metrics


async def _written(parts: "tuple[Reports, EmbeddedMetrics]") -> dict[str, Any]:
    from bursar.reports.tail.sources import SAFETY_MARGIN_S

    reports, metrics = parts
    began = system_clock()
    written = await reports.write_lake()
    # Without changes the watermark does not move, but the lake is complete up to the margin before the pass began.
    metrics.add("WatermarkAge", system_clock() - began + SAFETY_MARGIN_S)
    return {"rows": written.rows, "watermark": None if written.watermark is None else iso_ms(written.watermark)}


async def _verified(parts: "tuple[Reports, EmbeddedMetrics]") -> dict[str, Any]:
    reports, _ = parts
    found = await reports.verify_lake()
    if not found.equal:
        raise LakeDiffers("\n".join(found.lines()))
    return {"equal": True, "lines": found.lines()}


handler = LakeWriting()
