"""The tables as they were at an instant: exact to the event, from the rows of now.

Events, reversals and deposits are only added, so the state has those that were recorded up to the instant. An attempt
that has not changed since has its present row. Any other attempt was live at the instant, because a final one never
changes; its row is made from its events up to then:

    identity, amount, metadata, classification   the present row: they never change
    status, payment_status, updated_at           the last event
    token_at                                     the present row, if the token had been given
    what Pay.gov said, and what is unknown       the last event that says so, from its detail

Metadata that were erased since are empty at every instant, because no copy exists.
"""

from typing import Final

from bursar.clock import iso_ms
from bursar.reports.lake.schema import PAYMENT_EVENTS, PAYMENTS, TableSchema

_OUTCOMES: Final = "('accepted', 'noted')"
"""The events of a live attempt that replace everything that Pay.gov reported before."""
_SKEW: Final = "INTERVAL 1 DAY"
"""The longest time by which an event may seem to be before the start of its attempt, because a clock was set back."""
_UNKNOWN: Final = "('outcome_unknown', 'lease_taken_over')"
"""The events after which the outcome is unknown."""


def _said(name: str) -> str:
    return f"json_extract_string(detail, '$.{name}')"


def _last(value: str, where: str) -> str:
    """Return the value at the last event for which ``where`` holds, also if it is null."""
    return f"arg_max_null({value}, seq) FILTER (WHERE {where})"


def _kept(name: str) -> str:
    """Return the value of ``name`` that Pay.gov reported last; a report without ``name`` keeps the earlier value."""
    return _last(_said(name), f"{_said(name)} IS NOT NULL")


def _refused(name: str) -> str:
    """Return the reason of Pay.gov's refusal.

    A later outcome replaces it; an unknown one does so only if it has a reason.
    """
    gives_reason = f"event = 'outcome_unknown' AND {_said(name)} IS NOT NULL"
    return _last(_said(name), f"event IN {_OUTCOMES} OR ({gives_reason})")


_WAS: Final[dict[str, str]] = {
    "status": "arg_max(to_status, seq)",
    "updated_at": "arg_max(occurred_at, seq)",
    "token_at": "bool_or(event = 'token_given')",
    "payment_method": _kept("payment_method"),
    "transaction_status": _kept("transaction_status"),
    "paygov_tracking_id": _kept("paygov_tracking_id"),
    "return_code": _refused("return_code"),
    "return_detail": _refused("return_detail"),
    "outcome_unknown": f"coalesce({_last(f'event IN {_UNKNOWN}', f'event IN {_UNKNOWN} OR event IN {_OUTCOMES}')}, "
    "false)",
    "unknown_reason": _last(
        f"CASE WHEN event IN {_UNKNOWN} THEN {_said('reason')} END", f"event IN {_UNKNOWN} OR event IN {_OUTCOMES}"
    ),
}
"""Column → the expression for its value at the instant, over the attempt's events up to then."""
_COLUMNS: Final[dict[str, str]] = {
    **{name: f"was.{name}" for name in _WAS},
    "token_at": "CASE WHEN was.token_at THEN attempts.token_at END",
    # The attempt was live, so its payment was pending and it was in no month.
    "payment_status": "'pending'",
    "final_on": "CAST(NULL AS DATE)",
}


def select_as_of(schema: TableSchema, instant: float, prefix: str) -> str:
    """Return the SELECT of a table as it was at ``instant``, Unix seconds.

    The names of the present tables begin with ``prefix``.
    """
    at = f"TIMESTAMP WITH TIME ZONE '{iso_ms(instant)}'"
    if schema is not PAYMENTS:
        return f"SELECT * FROM {prefix}{schema.name} WHERE {schema.change_time} <= {at}"
    columns = ", ".join(f"{_COLUMNS.get(name, f'attempts.{name}')} AS {name}" for name in PAYMENTS.column_names)
    facts = ", ".join(f"{value} AS {name}" for name, value in _WAS.items())
    payments, events = f"{prefix}{PAYMENTS.name}", f"{prefix}{PAYMENT_EVENTS.name}"
    # Only attempts that had begun then can have been live, and no event of them is much older: DuckDB skips the others.
    live = f"{payments} WHERE updated_at > {at} AND created_at <= {at} + {_SKEW}"
    return (
        f"SELECT * FROM {payments} WHERE updated_at <= {at} UNION ALL "
        f"SELECT {columns} FROM {payments} AS attempts INNER JOIN "
        f"(SELECT agency_tracking_id, {facts} FROM {events} WHERE occurred_at <= {at} "
        f"AND agency_tracking_id IN (SELECT agency_tracking_id FROM {live}) "
        f"AND occurred_at >= (SELECT min(created_at) - {_SKEW} FROM {live}) "
        "GROUP BY agency_tracking_id) AS was ON attempts.agency_tracking_id = was.agency_tracking_id"
    )
