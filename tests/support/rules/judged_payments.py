"""Payments over a store in which the reference model judges each transaction as soon as it has taken place."""

import random
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from bursar.clock import from_iso_ms
from bursar.dynamo.items.attribute_values import Item
from bursar.payments import FeeCatalogue, Ledger
from bursar.payments.rules import ONE_LIVE_ATTEMPT, payment_rules
from bursar.payments.status import BLOCKING
from bursar.rules import Rules
from tests.support.rules.reference import broken
from tests.support.rules.worlds import TABLE, Key, PlainStore


class JudgedStore(PlainStore):
    """A store that lets the reference model judge each transaction as soon as it has taken place."""

    def __init__(self, rules: Rules, meanings: Mapping[str, Any], definition: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.rules, self.meanings = rules, meanings
        if definition is not None:
            self.engine.execute("DeleteTable", {"TableName": TABLE})
            self.engine.execute("CreateTable", definition)
        self.state: dict[Key, Item] = {}

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        answer = await super().call(operation, request)
        if operation == "TransactWriteItems":
            after = self.items()
            violated = broken(self.rules, self.meanings, self.state, after)
            assert not violated, (violated, self.state, after)
            self.state = after
        return answer


FEES = FeeCatalogue.default()
PAYMENT_RULES = payment_rules(FEES)
NOW = from_iso_ms("2026-11-22T19:30:00.125Z")
PAYMENT_MEANINGS = {
    rule.name: (lambda item: item["status"]["S"] in BLOCKING) if rule.name == ONE_LIVE_ATTEMPT else (lambda _: True)
    for rule in PAYMENT_RULES.rules
}
FEE = FEES.fee("PETITION_FILING_FEE", NOW)
REFERENCE = "0b5c6f6e-0000-4000-8000-000000000001"


async def starting(ledger: Ledger) -> Any:
    assert FEE is not None
    return await ledger.start_attempt(
        "court", REFERENCE, FEE, Decimal("60.00"), {"docketNumber": "1-26"}, "https://a/ok", "https://a/no"
    )


def ledger_on(store: Any, seed: int) -> Ledger:
    return Ledger(
        store, clock=lambda: NOW, randomness=random.Random(seed), table=TABLE, fees=FEES, compare_and_swap=None
    )


def attempts(store: JudgedStore) -> list[Item]:
    return [item for item in store.state.values() if item["kind"] == {"S": "attempt"}]


def statuses(store: JudgedStore) -> list[str]:
    return sorted(item["status"]["S"] for item in attempts(store))
