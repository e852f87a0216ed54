"""The history audit of the payments table, for ``bursar audit --chain`` and ``--root``."""

from collections.abc import Callable, Mapping
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from bursar.clock import Clock
from bursar.payments.audit.chain_audit import SEGMENTS, ChainReport, audit_chains
from bursar.payments.audit.root_audit import audit_roots
from bursar.payments.audit.root_copies import RootCopies
from bursar.payments.ledger.store_records.daily_roots import DailyRoots, day_of

if TYPE_CHECKING:
    from bursar.dynamo.clients.store import Store

YESTERDAY = "yesterday"


class PaymentHistory:
    """Checks the events of ``table``. ``copies``: the roots outside of the table, if there is such a place."""

    def __init__(
        self, store: "Store", table: str, roots: DailyRoots, copies: RootCopies | None, *, clock: Clock
    ) -> None:
        self._store, self._table = store, table
        self._roots, self._copies = roots, copies
        self._clock = clock

    async def check(self, *, segments: int = SEGMENTS, on_progress: Callable[[int], None] | None = None) -> ChainReport:
        """Check every chain and every root. Raises the store's errors, and ``RootCopiesError``."""
        copies = None if self._copies is None else await self._copies.read()
        report = await audit_chains(self._store, self._table, segments=segments, on_progress=on_progress)
        await audit_roots(self._roots, copies, report)
        return report

    async def root(self, day: str = YESTERDAY) -> Mapping[str, Any]:
        """Return the root of ``day`` (``2026-11-28``, UTC) from the events in the table.

        ``stored`` is "equal", "another one" or "absent". Raises ``ValueError`` for a text that is not a date.
        """
        chosen = day_of(self._clock()) - timedelta(days=1) if day == YESTERDAY else _parsed(day)
        stored = {root.date: root.root for root in await self._roots.stored()}
        computed = await self._roots.compute(chosen, stored.get((chosen - timedelta(days=1)).isoformat()))
        known = stored.get(computed.date)
        comparison = "absent" if known is None else "equal" if known == computed.root else "another one"
        return {"date": computed.date, "root": computed.root, "events": computed.events, "stored": comparison}


def _parsed(day: str) -> date:
    try:
        return date.fromisoformat(day)
    except ValueError:
        raise ValueError(f"--root: must be a date such as 2026-11-28; got {day}") from None
