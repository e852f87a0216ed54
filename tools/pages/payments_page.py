"""docs/payments.md, generated from the graph and the rules; a test checks that the file is current.

python -m tools.pages.payments_page > docs/payments.md
"""

import sys

from bursar.payments.catalogue.fees import FeeCatalogue
from bursar.payments.due import DAY_S, RETURN_POLL_FIRST_S, DuePolicy
from bursar.payments.history_bounds import NOTED_EVENTS_MAX, RECLAIMS_MAX, TAKEOVER_EVENTS_MAX
from bursar.payments.records import CENT, Attempt
from bursar.payments.rules import STATUS_MOVES, payment_rules
from bursar.payments.status import EDGES, PAYGOV_STATUS, PROCESSED, STATUSES, Edge
from bursar.rules.language.render import rules_table, transitions_diagram

_HEAD = """\
# What may happen to a payment

Generated from `payments/status.py` and `payments/rules.py` by `python -m tools.pages.payments_page`; do not edit.

An *obligation* is an amount that is owed, named by client and reference, and is paid at most once.
An *attempt* is one try at paying it.
An *event* is a line of an attempt's history, written in the same transaction as the change that it describes.
"""


_BOUNDS = (
    "An attempt can repeat these steps, so each is bounded.",
    f"An attempt that was released unsent is `reclaimed` at most {RECLAIMS_MAX} times.",
    "At the next call the portal fails it by `expired_unsent`: the payer was never charged.",
    f"At {TAKEOVER_EVENTS_MAX} events no lease is taken over again, and at {NOTED_EVENTS_MAX} nothing is `noted`.",
    "A step that ends an attempt is always recorded, independent of the length of its history.\n",
    "An unknown outcome is never a failure.",
    "The attempt stays `processing` and blocks its obligation until Pay.gov or an operator reports what happened.\n",
)
_AFTER_SETTLEMENT = (
    "Money may go back after settlement: a debit is returned, a charge is charged back, a payment is refunded.",
    "Each is a *reversal*, a separate record in the obligation's partition.",
    "It is written in one transaction with its event and the attempt's new `reversedAmount`.",
    "The attempt stays `processed`, and its `lastUpdatedAt` stays the time at which its status last changed.\n",
    "A settled ACH debit stays in the `due` index, in the partition `returns`, and Pay.gov is asked about it:\n",
)
_WATCH_COST = (
    "",
    "A question that learns nothing is one update of the attempt: 4 write capacity units (WCU).",
    "tests/payments/ledger/test_cost.py holds the budget:\n",
    *(
        "| payment | WCU until it is processed | WCU of the watch | WCU of a return |",
        "|---|---|---|---|",
        "| card, PayPal | 33 | 0 | |",
        "| ACH | 41, and 4 for each question | 31, over 61 days | 11 |\n",
    ),
    "A refund is requested by one person and approved by another; the approval writes the reversal.",
    "It is only recorded: no public form of Pay.gov sends a refund.\n",
    "A return of the whole amount lets another attempt pay the obligation only under the client's policy "
    "`reopen_after_full_return`, by the attribute `reopened`.\n",
)
_FEES = (
    "A version of a fee is active from the beginning of its day in New York until the next version is active.",
    "A fee with `retired_from` is active until the beginning of that day.",
    "From then on a new attempt is refused as for a fee that is not in the catalogue.",
    "Older attempts continue: an init that repeats one returns its token while the token is valid.",
    "The rule `fee-active` below holds for them too: it compares the creation of an attempt with the first activation "
    "of its fee.\n",
)


def payments_page(fees: FeeCatalogue) -> str:
    """Return the page as Markdown: the diagram, every edge, Pay.gov's words, and the rules of the table."""
    rules = payment_rules(fees)
    return "\n".join(
        [
            _HEAD,
            "## Statuses\n",
            f"```mermaid\n{transitions_diagram(rules, STATUS_MOVES)}```\n",
            "Payment status over all attempts at an obligation: any processed → `success`; all failed → `failed`; "
            "otherwise `pending`.\n",
            "## Every step\n",
            *_table(("from", "to", "event", "taken by", "when"), [_row(step) for step in EDGES if step.moves]),
            "",
            "Events that keep the status:\n",
            *_table(("in", "event", "taken by", "when"), [_row_without_move(step) for step in EDGES if not step.moves]),
            "",
            *_BOUNDS,
            "## After settlement\n",
            *_AFTER_SETTLEMENT,
            *_table(("question", "days after settlement"), _watch_rows()),
            *_WATCH_COST,
            "## Fees\n",
            *_FEES,
            "## Pay.gov's words\n",
            *_table(("ours", "Pay.gov's `transaction_status`"), _paygov_rows()),
            "",
            "Any other word decides nothing.\n",
            "## The rules of the table\n",
            rules_table(rules),
        ]
    )


def _row(step: Edge) -> tuple[str, ...]:
    return (step.source or "(new)", step.target, f"`{step.event}`", ", ".join(step.actors), step.meaning)


def _row_without_move(step: Edge) -> tuple[str, ...]:
    return (step.target, f"`{step.event}`", ", ".join(step.actors), step.meaning)


def _paygov_rows() -> list[tuple[str, ...]]:
    words = {status: [word for word, means in PAYGOV_STATUS.items() if means == status] for status in STATUSES}
    return [(status, ", ".join(of_status)) for status, of_status in words.items() if of_status]


def _watch_rows() -> list[tuple[str, ...]]:
    """Return the number of each question about a return, and its day."""
    policy, days = DuePolicy(), [RETURN_POLL_FIRST_S / DAY_S]
    settled = Attempt("", "", "", "", "", "", CENT, {}, "", "", 0.0, 0.0, PROCESSED)
    while days[-1] * DAY_S < policy.return_watch_s:
        days.append(policy.next_return_poll_at(settled, days[-1] * DAY_S) / DAY_S)
    return [(str(number), f"{day:.1f}") for number, day in enumerate(days, 1)]


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return [lines[0], "|---" * len(head) + "|", *lines[1:]]


if __name__ == "__main__":
    sys.stdout.write(payments_page(FeeCatalogue.default()))
