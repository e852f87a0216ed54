"""The payments table's rules: they are derived from the graph, and each refuses the changes that it forbids."""

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bursar.payments.catalogue.fees import FeeCatalogue
from bursar.payments.records import Attempt, Event, Item, Obligation, to_item
from bursar.payments.rules import BEGINS_RECEIVED, FEE_ACTIVE, SECRETS, STATUS_MOVES, only_more_fees, payment_rules
from bursar.payments.status import FINAL, STATUSES, moves
from bursar.rules import Rules, Transitions
from bursar.rules.judging.plan import RulesPlan
from bursar.rules.language.toml import rules_from_toml, rules_to_toml

RULES = payment_rules(FeeCatalogue.default())


def refusing(old: Item | None, new: Item | None) -> str | None:
    """Return the name of the rule that refuses old → new, judged on the item alone."""
    found = RulesPlan(RULES).judge(old, new)
    return None if found is None else found.rule


def test_the_transitions_are_the_graph() -> None:
    rule = RULES[STATUS_MOVES]
    assert isinstance(rule, Transitions)
    assert set(rule.edges) == set(moves())
    assert set(rule.final) == FINAL
    assert set(rule.initial) == {"received", "processing", "pending", "processed", "failed"}


def test_the_rules_survive_toml() -> None:
    assert rules_from_toml(rules_to_toml(RULES)) == RULES


@pytest.mark.parametrize("source", STATUSES)
@pytest.mark.parametrize("target", STATUSES)
def test_a_status_moves_along_the_graph_and_no_other_way(attempt: Attempt, source: Any, target: Any) -> None:
    old, new = to_item(replace(attempt, status=source)), to_item(replace(attempt, status=target, version=2))
    allowed = source == target or (source, target) in moves()
    assert refusing(old, new) == (None if allowed else STATUS_MOVES)


@pytest.mark.parametrize("status", [status for status in STATUSES if status != "received"])
def test_an_attempt_starts_received_unless_it_is_imported(attempt: Attempt, status: Any) -> None:
    assert refusing(None, to_item(attempt)) is None
    rule = STATUS_MOVES if status == "initiated" else BEGINS_RECEIVED
    assert refusing(None, to_item(replace(attempt, status=status))) == rule
    imported = to_item(replace(attempt, status=status, imported_at=attempt.created_at))
    assert refusing(None, imported) == (STATUS_MOVES if status == "initiated" else None)


def test_an_attempt_cannot_become_an_imported_one(attempt: Attempt) -> None:
    started = to_item(attempt)
    assert refusing(started, {**started, "importedAt": {"S": "2026-11-22T19:30:00.125Z"}}) == "attempt-identity"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ({"agencyTrackingId": {"S": "other"}}, "attempt-identity"),
        ({"client": {"S": "other"}}, "attempt-identity"),
        ({"reference": {"S": "other"}}, "attempt-identity"),
        ({"fee": {"S": "COPY_FEE"}}, "attempt-identity"),
        ({"feeVersion": {"S": "2020-01-02"}}, "attempt-identity"),
        ({"tcsAppId": {"S": "OTHER"}}, "attempt-identity"),
        ({"amount": {"N": "61"}}, "attempt-identity"),
        ({"metadata": {"S": "{}"}}, "attempt-identity"),
        ({"createdAt": {"S": "2026-11-22T19:30:00.126Z"}}, "attempt-identity"),
        ({"token": {"S": "u" * 32}}, "paygov-ids-once"),
        ({"payGovTrackingId": {"S": "other"}}, "paygov-ids-once"),
    ],
)
def test_identities_never_change(attempt: Attempt, change: Item, rule: str) -> None:
    item = to_item(replace(attempt, token="t" * 32, paygov_tracking_id="p"))
    assert refusing(item, {**item, **change}) == rule


@pytest.mark.parametrize("attribute", ["client", "reference", "fee", "metadata", "createdAt"])
def test_an_obligation_never_changes(attribute: str) -> None:
    item = to_item(Obligation("dawson", "r", "COPY_FEE", {"a": 1}, 1.0))
    assert refusing(item, {**item, attribute: {"S": "other"}}) in ("obligation-identity", "obligation-agrees")


@pytest.mark.parametrize("amount", ["0", "-60", "0.001", "1000000000"])
def test_an_amount_is_positive_and_bounded(attempt: Attempt, amount: str) -> None:
    assert refusing(None, {**to_item(attempt), "amount": {"N": amount}}) == "amount"


def test_an_amount_is_a_number(attempt: Attempt) -> None:
    assert refusing(None, {**to_item(attempt), "amount": {"S": "60.00"}}) == "amount"


def test_a_fee_is_known_and_active_when_the_attempt_is_made(attempt: Attempt) -> None:
    assert refusing(None, to_item(replace(attempt, fee="NO_SUCH_FEE"))) == "fee-active"
    before = replace(attempt, created_at=0.0)
    assert refusing(None, to_item(before)) == "fee-active"


def test_an_event_is_never_changed_nor_removed(attempt: Attempt) -> None:
    event = Event(
        "dawson", attempt.reference, attempt.agency_tracking_id, 1, 1.0, "started", "portal", None, "received"
    )
    item = to_item(event)
    assert refusing(item, to_item(replace(event, actor="sweeper"))) == "events-append-only"
    assert refusing(item, None) == "events-append-only"


def test_neither_obligation_nor_attempt_is_removed(attempt: Attempt) -> None:
    assert refusing(to_item(attempt), None) is not None
    assert refusing(to_item(Obligation("dawson", "r", "COPY_FEE", {}, 1.0)), None) is not None


def test_no_message_shows_a_secret(attempt: Attempt) -> None:
    item = to_item(replace(attempt, token="t" * 32, metadata={"email": "ada@example.org"}))
    other = to_item(replace(attempt, token="u" * 32, metadata={"email": "bob@example.org"}, amount=Decimal("1.00")))
    found = RulesPlan(RULES).judge(item, other)
    assert found is not None
    assert "ada@" not in found.message
    assert "uuu" not in found.message
    assert {"token", "metadata"} <= SECRETS


def with_fees(tmp_path: Path, **active_from: str) -> Rules:
    file = tmp_path / "fees.toml"
    file.write_text(
        "".join(
            f'[fees.{key}]\nname = "{key}"\ntcs_app_id = "TCS"\n'
            f'versions = [{{ active_from = {day}, amount = "5.00" }}]\n'
            for key, day in active_from.items()
        )
    )
    return payment_rules(FeeCatalogue.load(str(file)))


@pytest.mark.parametrize(
    ("after", "more"),
    [
        ({"A": "2026-01-01", "B": "2026-01-01"}, True),
        ({"B": "2026-02-01", "A": "2026-01-01"}, True),
        ({"A": "2025-01-01", "B": "2026-02-01"}, True),
        ({"A": "2026-01-02", "B": "2026-02-01"}, False),
        ({"B": "2026-02-01"}, False),
    ],
)
def test_more_fees_let_in_all_that_fewer_did(tmp_path: Path, after: dict[str, str], more: bool) -> None:
    before = with_fees(tmp_path, A="2026-01-01")
    assert only_more_fees(before, with_fees(tmp_path, **after)) is more


NEEDED_BY_THE_SUM = "reversals-append-only"


def test_any_other_rule_that_changes_is_not_only_fees() -> None:
    for number in range(len(RULES.rules)):
        if RULES.rules[number].name in (FEE_ACTIVE, NEEDED_BY_THE_SUM):
            continue
        fewer = replace(RULES, rules=RULES.rules[:number] + RULES.rules[number + 1 :])
        assert not only_more_fees(RULES, fewer)
        assert not only_more_fees(fewer, RULES)
    assert only_more_fees(RULES, RULES)
