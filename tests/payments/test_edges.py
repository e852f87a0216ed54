"""Each limit of the payments at its two edges: the last value that is taken or holds, and the next one.

A row has the limit, and a function that takes a value or raises.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from bursar.payments import Attempt, NoSuchEdge
from bursar.payments.attempt_ids import ATTEMPTS_MAX, next_attempt_id, possible_attempt_ids
from bursar.payments.catalogue.classification import SHARES_MAX, read_shares
from bursar.payments.catalogue.clients import SECRET_CHARS_MIN, ClientsError, parse_clients
from bursar.payments.catalogue.fees import TCS_APP_ID_CHARS_MAX, FeeCatalogue, FeesError
from bursar.payments.due import DuePolicy
from bursar.payments.history_bounds import EVENTS_MAX, taken_too_often
from bursar.payments.ledger.store_records.restores import BY_COMMAND, LOST_SPAN_S, RestoreMark
from bursar.payments.records import AMOUNT_MAX, CENT, money, to_item
from bursar.payments.rules import payment_rules
from bursar.portal.contract.periods import day_of
from bursar.rules.judging.plan import RulesPlan
from tests.support.edges import Limits, check_largest, check_smallest
from tests.support.payments.chains import new_attempt

AT = 1_795_376_000.0
REFUSALS = (ClientsError, FeesError, NoSuchEdge, ValueError)
FEE = """
[fees.F]
name = "A fee"
tcs_app_id = "{app}"
retired_from = {retired}
versions = [{{ active_from = 2026-01-02, amount = "1.00" }}, {{ active_from = 2026-03-02, amount = "2.00" }}]
"""


def catalogue(app_chars: int = 3, retired: str = "2026-06-02") -> FeeCatalogue:
    return FeeCatalogue.parse(FEE.format(app="A" * app_chars, retired=retired).encode(), source="fees.toml")


def clients(secret_chars: int = 16, key_chars: int = 8) -> None:
    key = f'access_key_id = "{"K" * key_chars}", secret = "{"s" * secret_chars}"'
    role = 'role_arn = "arn:aws:iam::123456789012:role/dawson"'
    text = f'[clients.dawson]\n{role}\nfees = "*"\naccess_keys = [{{ {key} }}]\n'
    parse_clients(text.encode(), source="clients.toml")


def shares(count: int) -> None:
    rows = [{"id": f"A{number}", "share": "1.00"} for number in range(count)]
    _, problems = read_shares(rows, Decimal(count))
    holds(not problems)


def holds(condition: bool) -> None:
    """Raise ``ValueError`` unless ``condition`` holds."""
    if not condition:
        raise ValueError("refused")


LARGEST: Limits = {
    "an application's id": (TCS_APP_ID_CHARS_MAX, lambda n: catalogue(app_chars=n)),
    "an access key's id": (128, lambda n: clients(key_chars=n)),
    "the shares of an amount": (SHARES_MAX, shares),
    "an amount in cents": (int(AMOUNT_MAX * 100), lambda n: money(CENT * n)),
}
SMALLEST: Limits = {
    "an access key's id": (4, lambda n: clients(key_chars=n)),
    "a secret": (SECRET_CHARS_MIN, lambda n: clients(secret_chars=n)),
    "an amount in cents": (1, lambda n: money(CENT * n)),
    "the first day of retirement": (3, lambda n: catalogue(retired=f"2026-03-0{n}")),
}


@pytest.mark.parametrize(("largest", "take"), LARGEST.values(), ids=LARGEST)
def test_the_largest_is_taken_and_the_next_is_refused(largest: int, take: Callable[[int], Any]) -> None:
    check_largest(largest, take, REFUSALS)


@pytest.mark.parametrize(("smallest", "take"), SMALLEST.values(), ids=SMALLEST)
def test_the_smallest_is_taken_and_the_one_below_is_refused(smallest: int, take: Callable[[int], Any]) -> None:
    check_smallest(smallest, take, REFUSALS)


# --- instants --------------------------------------------------------------------------------------------------------


def attempt(**changes: Any) -> Attempt:
    return replace(new_attempt(1, AT), **changes)


POLICY = DuePolicy()
LEASED = attempt(status="processing", lease_owner="worker", lease_until=AT)
WITH_TOKEN = attempt(status="initiated", token="t" * 32, token_at=AT - 3 * 3600)
BEGINS = {
    "a lease is over": lambda now: not LEASED.leased(now),
    "a token has expired": lambda now: POLICY.token_expired(WITH_TOKEN, now),
    "an attempt without a token's time has expired": lambda now: POLICY.token_expired(
        attempt(created_at=AT - 3 * 3600), now
    ),
    "an attempt began after a restore": lambda now: (
        not RestoreMark(AT - LOST_SPAN_S, BY_COMMAND).covers(attempt(created_at=now + 0.001))
    ),
}
"""Name of a condition that holds from ``AT`` on → whether it holds at an instant."""


@pytest.mark.parametrize("has_begun", BEGINS.values(), ids=BEGINS)
def test_it_begins_at_its_instant(has_begun: Callable[[float], bool]) -> None:
    assert [has_begun(AT - 0.001), has_begun(AT)] == [False, True]


@pytest.mark.parametrize("day", [date(2026, 1, 2), date(2026, 3, 2), date(2026, 6, 2)])
def test_a_fee_changes_at_the_midnight_of_its_day(day: date) -> None:
    fees = catalogue()
    midnight = day_of(day).begin
    before, after = (fees.fee("F", at) for at in (midnight - 0.001, midnight))
    amounts = [None if each is None else each.amount for each in (before, after)]
    assert (
        amounts
        == {
            date(2026, 1, 2): [None, Decimal("1.00")],
            date(2026, 3, 2): [Decimal("1.00"), Decimal("2.00")],
            date(2026, 6, 2): [Decimal("2.00"), None],
        }[day]
    )
    retired = [fees.retired("F", at) is not None for at in (midnight - 0.001, midnight)]
    assert retired == [False, day == date(2026, 6, 2)]


@pytest.mark.parametrize(("event", "largest"), EVENTS_MAX.items())
def test_an_event_is_possible_below_its_number_of_events(event: Any, largest: int) -> None:
    assert [taken_too_often(attempt(event_seq=seq), event) for seq in (largest - 1, largest)] == [False, True]


def test_an_obligation_has_a_last_attempt() -> None:
    ids = list(possible_attempt_ids("dawson", "reference", ()))
    assert len(ids) == len(set(ids)) == ATTEMPTS_MAX
    assert next_attempt_id("dawson", "reference", ids[:-1]) == ids[-1]
    assert next_attempt_id("dawson", "reference", ids) is None


# --- rules -----------------------------------------------------------------------------------------------------------

RULES = RulesPlan(payment_rules(catalogue()))
OF_F = replace(new_attempt(1, day_of(date(2026, 1, 2)).begin), fee="F")


def refused_by(changed: Attempt) -> str | None:
    """Return the name of the rule that refuses ``changed`` as a new item; None if the rules take it."""
    found = RULES.judge(None, to_item(changed))
    return None if found is None else found.rule


def test_a_fee_may_be_charged_from_its_first_instant_on() -> None:
    first = OF_F.created_at
    asked = [replace(OF_F, created_at=at, updated_at=at) for at in (first - 0.001, first)]
    assert [refused_by(each) for each in asked] == ["fee-active", None]


@pytest.mark.parametrize(
    ("amount", "rule"), [("0", "amount"), ("0.01", None), ("999999999.99", None), ("1000000000", "amount")]
)
def test_the_rules_take_the_smallest_and_the_largest_amount(amount: str, rule: str | None) -> None:
    found = RULES.judge(None, {**to_item(OF_F), "amount": {"N": amount}})
    assert (None if found is None else found.rule) == rule
