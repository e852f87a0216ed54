"""Compute the daily roots again and compare them with the stored ones and with their copies outside of the table."""

from collections.abc import Mapping
from datetime import date, timedelta
from itertools import pairwise

from bursar.payments.audit.chain_audit import ChainReport
from bursar.payments.audit.chain_check import ChainFinding
from bursar.payments.ledger.store_records.daily_roots import DailyRoot, DailyRoots


async def audit_roots(roots: DailyRoots, copies: Mapping[str, str] | None, report: ChainReport) -> None:
    """Add to ``report`` each day whose root differs. ``copies``: date → root; None if there are no copies.

    Each root is computed with the stored root of the day before, so an altered event is found in its own day only.
    """
    stored = await roots.stored()
    previous: str | None = None
    for root in stored:
        computed = await roots.compute(date.fromisoformat(root.date), previous)
        if computed.root != root.root:
            counted = f"{root.events} events when it was stored, {computed.events} now"
            report.add(_finding(root, f"its events do not give the stored root ({counted})"))
        previous = root.root
        report.roots += 1
    for one, other in pairwise(stored):
        if date.fromisoformat(one.date) + timedelta(days=1) != date.fromisoformat(other.date):
            report.add(_finding(one, f"no root is stored between it and {other.date}"))
    if copies is not None:
        _compare(stored, copies, report)


def _compare(stored: list[DailyRoot], copies: Mapping[str, str], report: ChainReport) -> None:
    known = {root.date: root.root for root in stored}
    for day in sorted(known.keys() | copies.keys()):
        check = None
        if day not in known:
            check = "its root is outside of the table but not in it: the table lost it, or was restored from a backup"
        elif day in copies and copies[day] != known[day]:
            check = "the root outside of the table is another one than the stored root"
        if check is not None:
            report.add(ChainFinding("root", day, check))


def _finding(root: DailyRoot, check: str) -> ChainFinding:
    return ChainFinding("root", root.date, check)
