"""The operators' part after a restore: mark a store that was restored by other means, and clear the mark.

An operator clears it after comparing the store with Pay.gov's reports. The collections that only Pay.gov has are
recorded then, so that no later attempt at their obligations can charge the payer again.
"""

import asyncio
import re
from collections.abc import Iterable
from typing import Final

from bursar.payments.attempt_ids import AGENCY_TRACKING_ID_CHARS
from bursar.payments.ledger.ledger import LIVE_MAX
from bursar.payments.ledger.store_records.restores import BY_OPERATOR, RestoreMark
from bursar.payments.records import Attempt
from bursar.payments.status import INITIATED, RECEIVED
from bursar.portal.contract.error_catalogue import NOT_RESOLVABLE
from bursar.portal.contract.errors import Conflict
from bursar.portal.state.portal import Portal
from bursar.portal.upkeep.attention import FAR_FUTURE_S, check_words
from bursar.portal.use_cases.resolution import returned_unsent

INDEX_CATCHES_UP_S: Final = 2.0
"""The least age of a mark that can be cleared. An index is usually behind for a fraction of a second."""
NOTHING_TO_CLEAR: Final = "There is no restore mark to clear"
_OUR_ID: Final = re.compile(rf"b[0-9a-z]{{{AGENCY_TRACKING_ID_CHARS - 1}}}")


async def mark_restored(portal: Portal, *, by: str, reason: str) -> RestoreMark:
    """Mark the store as restored now. Raises ``InvalidRequest`` for an empty or long name or reason."""
    check_words(by, reason)
    way = f"{BY_OPERATOR}, {by.strip()}: {reason.strip()}"
    mark = await portal.ledger.mark_restored(way)
    assert mark is not None, "a mark that depends on nothing is written"
    return mark


async def lost_collections(portal: Portal, charged: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the collections of ``charged`` whose attempt the store does not have, also those recorded already.

    Each is (agency tracking id, Pay.gov tracking id). Ids that Bursar cannot have given are left out.
    """
    lost = []
    for agency_id, paygov_id in charged:
        if _OUR_ID.fullmatch(agency_id) and await portal.ledger.attempt_by_agency_id(agency_id) is None:
            lost.append((agency_id, paygov_id))
    return lost


async def clear(portal: Portal, *, by: str, reason: str, lost: Iterable[tuple[str, str]] = ()) -> list[RestoreMark]:
    """Clear the restore marks and return them, after recording the ``lost`` collections.

    Raises:
        InvalidRequest: the name or the reason is empty or too long.
        Conflict: no mark is open, or an attempt from before the restore may still end without a question to Pay.gov.
    """
    check_words(by, reason)
    mark = (await portal.ledger.restores.read()).open_mark
    if mark is None:
        raise Conflict(NOT_RESOLVABLE.saying(NOTHING_TO_CLEAR))
    # The index of live attempts may be behind on Amazon's DynamoDB. It names every attempt from before the restore
    # once it has had time to catch up, and each attempt is read again, strongly consistent.
    await asyncio.sleep(max(0.0, mark.restored_at + INDEX_CATCHES_UP_S - portal.clock()))
    live = await portal.ledger.due(portal.clock() + FAR_FUTURE_S, LIVE_MAX)
    covered = [await portal.ledger.reread(each) for each in live if mark.covers(each)]
    early = [each.agency_tracking_id for each in covered if _is_undecided(each)]
    if early:
        problem = (
            f"{len(early)} attempts from before the restore, such as {early[0]}, are neither ended nor in doubt: "
            "wait until the sweeper has asked Pay.gov about them, at most until their tokens have expired"
        )
        raise Conflict(NOT_RESOLVABLE.saying(problem))
    return await portal.ledger.restores.clear(by=by.strip(), reason=reason.strip(), lost=lost)


def _is_undecided(attempt: Attempt) -> bool:
    """Return whether the attempt could fail by time, or a complete be sent for it, before Pay.gov is asked."""
    return attempt.status in (RECEIVED, INITIATED) or returned_unsent(attempt) or attempt.lease_owner is not None
