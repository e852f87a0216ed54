"""docs/payments.md, written from the graph and the rules themselves; a test holds that the file is current.

python -m tools.pages.payments_page > docs/payments.md
"""

import sys

from bursar.payments.fees import FeeCatalogue
from bursar.payments.history_bounds import NOTED_EVENTS_MAX, RECLAIMS_MAX, TAKEOVER_EVENTS_MAX
from bursar.payments.rules import STATUS_MOVES, payment_rules
from bursar.payments.status import EDGES, PAYGOV_STATUS, STATUSES, Edge
from bursar.rules.language.render import rules_table, transitions_diagram

_HEAD = """\
# What may happen to a payment

Generated from `payments/status.py` and `payments/rules.py` by `python -m tools.pages.payments_page`; do not edit.

An *obligation* is what is owed, named by client and reference, and is paid at most once. An *attempt* is one try at
paying it. An *event* is a line of an attempt's history, written in the same transaction as the change it tells of.
"""


def payments_page(fees: FeeCatalogue) -> str:
    """The page as Markdown: the diagram, every edge, Pay.gov's words, and the rules the table keeps."""
    rules = payment_rules(fees)
    return "\n".join(
        [
            _HEAD,
            "## Statuses\n",
            f"```mermaid\n{transitions_diagram(rules, STATUS_MOVES)}```\n",
            "Payment status over all attempts at an obligation: any processed → `success`; all failed → `failed`;",
            "else `pending`.\n",
            "## Every step\n",
            *_table(("from", "to", "event", "taken by", "when"), [_row(step) for step in EDGES if step.moves]),
            "",
            "Events that leave the status as it is:\n",
            *_table(("in", "event", "taken by", "when"), [_still(step) for step in EDGES if not step.moves]),
            "",
            "These can come again, so each is bounded. An attempt that was given back unsent is `reclaimed` at most",
            f"{RECLAIMS_MAX} times; asked once more, the portal fails it by `expired_unsent`: nobody was ever charged.",
            f"With {TAKEOVER_EVENTS_MAX} events no lease is taken over again, and with {NOTED_EVENTS_MAX} nothing is",
            "`noted`. What ends an attempt is recorded however long its history is.\n",
            "An outcome that is unknown is never a failure: it stays `processing` and blocks its obligation until",
            "Pay.gov, or an operator, says what happened.\n",
            "## Fees\n",
            "A version of a fee is active from the beginning of its day in New York until the next one's. A fee with",
            "`retired_from` is active until the beginning of that day: from then on a new attempt is refused as for a",
            "fee that is not in the catalogue. Attempts from before go on: an init that repeats one is answered as",
            "ever, with its token while it is fresh. The rule `fee-active` below, which asks only when an attempt was",
            "created and when its fee began, holds for them too.\n",
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


def _still(step: Edge) -> tuple[str, ...]:
    return (step.target, f"`{step.event}`", ", ".join(step.actors), step.meaning)


def _paygov_rows() -> list[tuple[str, ...]]:
    said = {status: [word for word, means in PAYGOV_STATUS.items() if means == status] for status in STATUSES}
    return [(status, ", ".join(words)) for status, words in said.items() if words]


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    lines = [f"| {' | '.join(row)} |" for row in (head, *rows)]
    return [lines[0], "|---" * len(head) + "|", *lines[1:]]


if __name__ == "__main__":
    sys.stdout.write(payments_page(FeeCatalogue.default()))
