"""Build the WHERE of a statement from conditions; values are passed as parameters, never as text."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from bursar.dashboard.sign_in.accounts import Account


@dataclass(frozen=True, slots=True)
class SqlCondition:
    """One condition in SQL, and the values of its parameters."""

    sql: str
    values: Mapping[str, Any] = field(default_factory=dict)


def all_of(conditions: Iterable[SqlCondition]) -> SqlCondition:
    """Return the condition that holds if all of ``conditions`` hold."""
    found = list(conditions)
    values: dict[str, Any] = {}
    for each in found:
        values |= each.values
    return SqlCondition(" AND ".join(f"({each.sql})" for each in found) or "TRUE", values)


def one_of(column: str, name: str, values: Iterable[str]) -> SqlCondition:
    """Return the condition that a column has one of the values. The names of its parameters begin with ``name``."""
    named = {f"{name}_{number}": value for number, value in enumerate(values)}
    listed = ", ".join(f"${each}" for each in named)
    return SqlCondition(f"{column} IN ({listed})" if named else "FALSE", named)


def visible_to(account: Account) -> SqlCondition:
    """Return the condition that the account may see a payment: its client and its fee."""
    limits = [
        one_of(column, f"visible_{column}", sorted(allowed))
        for column, allowed in (("client", account.clients), ("fee", account.fees))
        if allowed is not None
    ]
    return all_of(limits)
