"""The page "Needs attention": the work that waits for a person, each piece in exactly one list.

The overview counts what this page lists.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from starlette.responses import Response

from bursar.clock import from_iso_ms, iso_ms
from bursar.dashboard.pages.reconciliation.runs import unsigned_runs
from bursar.dashboard.visit import Visit
from bursar.payments.records import Attempt, attempt_key_of
from bursar.payments.reversals import RefundRequest
from bursar.reports.errors import ReportError
from bursar.reports.port import PaymentReports
from bursar.reports.sql.answer import Question

if TYPE_CHECKING:
    from bursar.portal.state.portal import Portal
    from bursar.portal.upkeep.attention import AttentionItem

ATTEMPTS_SHOWN_MAX: Final = 500
"""The most rows of one list, longest waiting first. The page shows the number of further ones."""
OPEN_REFUNDS_MAX: Final = 500
LATEST_S: Final = from_iso_ms("9999-12-31T00:00:00.000Z")
"""The latest time that a question can contain."""


@dataclass(frozen=True, slots=True)
class NeedsAttention:
    """The work that waits for a person. No attempt is in two lists.

    ``unknown``: Pay.gov may have charged the payer, and it is not known whether. ``contradicted``: the record
    contradicts Pay.gov's, until a person acknowledges this. ``stuck``: any other attempt that does not continue by
    itself. ``refunds``: requests that wait for a decision.
    """

    unknown: "Sequence[AttentionItem]"
    contradicted: "Sequence[AttentionItem]"
    stuck: "Sequence[AttentionItem]"
    refunds: Sequence[RefundRequest]

    @property
    def attempts(self) -> "dict[str, Sequence[AttentionItem]]":
        """The lists of attempts, by name."""
        return {"unknown": self.unknown, "contradicted": self.contradicted, "stuck": self.stuck}


async def show_attention(visit: Visit) -> Response:
    """List everything that needs a person."""
    return visit.page(
        "attention.html",
        attention=await needs_attention(visit),
        rows_max=ATTEMPTS_SHOWN_MAX,
        unsigned=await unsigned_runs(visit),
        section="overview",
    )


async def needs_attention(visit: Visit) -> NeedsAttention:
    """Return the work that needs a person, as far as the account may see it."""
    from bursar.portal.upkeep.attention import attention

    portal, account = visit.parts.record, visit.account
    found = await attention(portal, live=await _live_attempts(visit.parts.reports, portal))
    seen = _one_each([each for each in found if account.may_see(each.attempt.client, each.attempt.fee)])
    known = [each for each in seen if not each.attempt.outcome_unknown]
    refunds = await portal.ledger.open_refunds(OPEN_REFUNDS_MAX)
    if account.is_limited:
        kept = []
        for request in refunds:
            attempt = await portal.ledger.attempt_by_agency_id(request.agency_tracking_id)
            if attempt is not None and account.may_see(attempt.client, attempt.fee):
                kept.append(request)
        refunds = kept
    return NeedsAttention(
        [each for each in seen if each.attempt.outcome_unknown],
        [each for each in known if each.contradicted],
        [each for each in known if not each.contradicted],
        refunds,
    )


async def _live_attempts(reports: PaymentReports, portal: "Portal") -> "list[Attempt] | None":
    """Return the live attempts that may need a person; None if SQL cannot answer, or if there are too many.

    SQL finds them among thousands of other live attempts, all of which the ledger would have to read.
    """
    from bursar.portal.upkeep.attention import ATTENTION_MAX, latest_starts

    starts = {status: iso_ms(min(at + 1.0, LATEST_S)) for status, at in latest_starts(portal).items()}
    conditions = [f"(status = '{each}' AND created_at <= CAST(${each} AS TIMESTAMP WITH TIME ZONE))" for each in starts]
    text = f"SELECT client, reference, created_at, agency_tracking_id FROM payments WHERE {' OR '.join(conditions)}"
    try:
        [answer] = await reports.answers([Question(text, starts, rows_max=ATTENTION_MAX, cuts=True)])
    except (ReportError, OSError):
        return None
    if answer.cut:
        return None
    keys = [attempt_key_of(client, ref, started.timestamp(), own) for client, ref, started, own in answer.rows]
    return await portal.ledger.attempts_at(keys)


def _one_each(found: "Sequence[AttentionItem]") -> "list[AttentionItem]":
    """Return one item for each attempt, with all its reasons, longest waiting first."""
    items: dict[str, AttentionItem] = {}
    for each in found:
        key = each.attempt.agency_tracking_id
        first = items.setdefault(key, each)
        if first is not each:
            contradicted = first.contradicted or each.contradicted
            items[key] = replace(first, reason=f"{first.reason}; {each.reason}", contradicted=contradicted)
    return list(items.values())
