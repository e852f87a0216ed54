"""The view ``payment_postings``: double entry over events, reversals and deposits. The lines of each entry add up to 0.

    entry                            debit (+)                           credit (−)
    accepted, will settle later      in_transit                          unsettled
    settled after that               unsettled                           fee_revenue, by classification
    bounced instead                  unsettled                           in_transit
    paid at once                     in_transit                          fee_revenue, by classification
    deposited under a ticket         deposited                           in_transit
    came back                        returned, charged_back, refunded    deposited, or in_transit before the deposit

A ticket takes the gross amount. Money that came back before the deposit was known is credited to ``in_transit``, and
the entry of the deposit moves that credit to the ticket.
"""

from typing import Final

from bursar.reports.lake.schema import Column
from bursar.reports.sql.view import View

ACCOUNTS: Final = ("in_transit", "unsettled", "fee_revenue", "deposited", "returned", "charged_back", "refunded")

_COMMON: Final = "agency_tracking_id, entry, client, reference, fee"
_NOTHING: Final = "CAST(NULL AS VARCHAR)"


def _line(account: str, amount: str, source: str, *, ticket: str = _NOTHING, voucher: str = _NOTHING) -> str:
    return (
        f"    SELECT {_COMMON}, {account} AS account, {_NOTHING} AS classification_id, {ticket} AS deposit_ticket, "
        f"{voucher} AS debit_voucher, {amount} AS amount, posted_at, posted_on FROM {source}"
    )


_LINES: Final = "\n    UNION ALL\n".join(
    (
        _line("'in_transit'", "amount", "moved WHERE from_status IS DISTINCT FROM 'pending'"),
        _line("'in_transit'", "-amount", "moved WHERE to_status = 'failed'"),
        _line("'unsettled'", "-amount", "moved WHERE to_status = 'pending'"),
        _line("'unsettled'", "amount", "moved WHERE from_status = 'pending'"),
        _line("'fee_revenue'", "-amount", "moved WHERE to_status = 'processed' AND NOT is_classified"),
        f"    SELECT {_COMMON}, 'fee_revenue' AS account, part.share[1] AS classification_id, "
        f"{_NOTHING} AS deposit_ticket, {_NOTHING} AS debit_voucher, "
        "-CAST(part.share[2] AS DECIMAL(18, 2)) AS amount, posted_at, posted_on FROM moved "
        "CROSS JOIN UNNEST(CAST(JSON(classification) AS VARCHAR[][])) AS part(share) "
        "WHERE to_status = 'processed' AND is_classified",
        _line("'deposited'", "amount", "deposited", ticket="deposit_ticket"),
        _line("'in_transit'", "-amount", "deposited", ticket="deposit_ticket"),
        _line("kind", "amount", "came_back", ticket="deposit_ticket", voucher="debit_voucher"),
        _line(
            "CASE WHEN is_deposited THEN 'deposited' ELSE 'in_transit' END",
            "-amount",
            "came_back",
            ticket="deposit_ticket",
            voucher="debit_voucher",
        ),
        _line("'deposited'", "-amount", "came_back_before", ticket="deposit_ticket", voucher="debit_voucher"),
        _line("'in_transit'", "amount", "came_back_before", ticket="deposit_ticket", voucher="debit_voucher"),
    )
)

_SELECT: Final = f"""
WITH moved AS (
    SELECT
        events.agency_tracking_id,
        'event/' || CAST(events.seq AS VARCHAR) AS entry,
        attempts.client,
        attempts.reference,
        attempts.fee,
        attempts.amount,
        attempts.classification,
        attempts.classification IS NOT NULL AND attempts.classification <> '[]' AS is_classified,
        events.from_status,
        events.to_status,
        events.occurred_at AS posted_at,
        events.occurred_on AS posted_on
    FROM payment_events AS events
    INNER JOIN payments AS attempts ON events.agency_tracking_id = attempts.agency_tracking_id
    WHERE events.from_status IS DISTINCT FROM events.to_status -- an import has no status before
        AND (events.to_status IN ('pending', 'processed') OR events.from_status = 'pending')
), deposited AS (
    SELECT
        held.agency_tracking_id,
        'deposit' AS entry,
        attempts.client,
        attempts.reference,
        attempts.fee,
        held.deposit_ticket,
        held.amount,
        held.recorded_at AS posted_at,
        held.recorded_on AS posted_on
    FROM deposits AS held
    INNER JOIN payments AS attempts ON held.agency_tracking_id = attempts.agency_tracking_id
), came_back AS (
    SELECT
        back.agency_tracking_id,
        'reversal/' || CAST(back.reversal AS VARCHAR) AS entry,
        attempts.client,
        attempts.reference,
        attempts.fee,
        back.kind,
        back.amount,
        held.deposit_ticket IS NOT NULL AS is_deposited,
        held.deposit_ticket,
        back.debit_voucher,
        back.recorded_at AS posted_at,
        back.recorded_on AS posted_on
    FROM reversals AS back
    INNER JOIN payments AS attempts ON back.agency_tracking_id = attempts.agency_tracking_id
    LEFT JOIN deposits AS held
        ON back.agency_tracking_id = held.agency_tracking_id AND held.recorded_at < back.recorded_at
), came_back_before AS (
    SELECT
        held.agency_tracking_id,
        held.entry,
        held.client,
        held.reference,
        held.fee,
        held.deposit_ticket,
        back.debit_voucher,
        back.amount,
        held.posted_at,
        held.posted_on
    FROM deposited AS held
    INNER JOIN reversals AS back
        ON held.agency_tracking_id = back.agency_tracking_id AND held.posted_at >= back.recorded_at
), lines AS (
{_LINES}
)
SELECT
    agency_tracking_id,
    entry,
    client,
    reference,
    fee,
    account,
    classification_id,
    deposit_ticket,
    debit_voucher,
    CAST(amount AS DECIMAL(18, 2)) AS amount,
    posted_at,
    posted_on
FROM lines
""".strip()

PAYMENT_POSTINGS: Final = View(
    "payment_postings",
    "double entry: one row per line; the lines of an entry of an attempt add up to 0",
    (
        Column("agency_tracking_id", "text", "", "the attempt whose money moved"),
        Column("entry", "text", "", "what moved it: `event/<seq>`, `deposit` or `reversal/<number>`"),
        Column("client", "text", "", "the application that requested the payment"),
        Column("reference", "text", "", "the client's name for what was owed, lower case"),
        Column("fee", "text", "", "key of the fee in the catalogue"),
        Column("account", "text", "", ", ".join(ACCOUNTS)),
        Column("classification_id", "text", "", "of fee_revenue: the account of the Treasury", required=False),
        Column("deposit_ticket", "text", "", "the deposit ticket that holds the money, if known", required=False),
        Column("debit_voucher", "text", "", "the debit voucher that took the money back", required=False),
        Column("amount", "money", "", "US dollars; a debit is positive, a credit is negative"),
        Column("posted_at", "time", "", "when Bursar recorded it"),
        Column("posted_on", "day", "", "the day in New York on which Bursar recorded it"),
    ),
    _SELECT,
    ("payments", "payment_events", "reversals", "deposits"),
)
