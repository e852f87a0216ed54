"""Erase the metadata, which are personal data, of obligations that ended long ago."""

from collections import Counter
from dataclasses import dataclass, field

from bursar.payments.ledger.erasure import ErasureResult
from bursar.portal.state.portal import Portal

DAY_S = 24 * 3600.0


@dataclass
class ErasureReport:
    """How many obligations had each result, and how many attempts lost their metadata."""

    obligations: Counter[ErasureResult] = field(default_factory=Counter)
    attempts: int = 0


async def erase_metadata(
    portal: Portal,
    *,
    ended_before_days: int,
    by: str,
    reason: str,
    client: str | None = None,
    fee: str | None = None,
    dry_run: bool = False,
) -> ErasureReport:
    """Erase the metadata of every obligation whose attempts all ended more than ``ended_before_days`` ago.

    Each obligation is one transaction, so a run that was stopped continues where it was. ``client`` and ``fee`` limit
    the obligations that are erased. ``dry_run``: write nothing, and report what would be erased. Raises ``LedgerBusy``,
    and the store's errors.
    """
    ended_before = portal.clock() - ended_before_days * DAY_S
    report = ErasureReport()
    async for owner, reference in portal.ledger.obligations_with_metadata(client, fee):
        result, attempts = await portal.ledger.erasure.erase(
            owner, reference, ended_before=ended_before, by=by, reason=reason, dry_run=dry_run
        )
        report.obligations[result] += 1
        report.attempts += attempts if result == "erased" else 0
    return report
