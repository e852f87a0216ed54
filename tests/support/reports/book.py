"""A ledger in memory, small enough to be obviously right. The reports must agree with it in every state of the lake."""

import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

from bursar.clock import from_iso_ms
from bursar.payments.deposits import Deposit, deposit_to_item
from bursar.payments.records import ZERO, Attempt, Event, Item, to_item
from bursar.payments.reversals import Reversal, ReversalKind, reversal_to_item
from bursar.payments.status import EventName, Status
from bursar.reports.tail.index_source import IndexSource

START = from_iso_ms("2026-03-30T12:00:00.000Z")
DAY_S = 86_400.0
PAGE_ITEMS = 50
FEES = ("PETITION_FILING_FEE", "NONATTORNEY_EXAM_REGISTRATION_FEE", "COPY_FEE")


class Book:
    """Attempts and events in memory, a clock that tests set, and the calls to the store that reports make."""

    def __init__(self, start: float = START) -> None:
        self.now = start
        self.born = start
        self.source = IndexSource(self, self, "bursar-payments", self.clock)
        self.attempts: dict[str, Attempt] = {}
        self.events: list[Event] = []
        self.reversals: list[Reversal] = []
        self.deposits: list[Deposit] = []
        self.reads: list[tuple[float, float]] = []

    def clock(self) -> float:
        return self.now

    async def call(self, operation: str, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"DescribeTable": self._described, "Scan": self._page}[operation](request)

    def _described(self, request: Mapping[str, Any]) -> dict[str, Any]:
        return {"Table": {"TableName": request["TableName"], "CreationDateTime": self.born}}

    def _page(self, request: Mapping[str, Any]) -> dict[str, Any]:
        items = self._items()
        begin = int(request.get("ExclusiveStartKey", {"at": {"N": "0"}})["at"]["N"])
        end = begin + PAGE_ITEMS
        return {"Items": items[begin:end]} | ({"LastEvaluatedKey": {"at": {"N": str(end)}}} if end < len(items) else {})

    async def close(self) -> None:
        return

    async def changed_items(self, since: float, until: float) -> AsyncIterator[Item]:
        self.reads.append((since, until))
        indexed = [item for item in self._items() if "changedAt" in item]
        for item in sorted(indexed, key=lambda item: item["changedAt"]["S"]):
            if since <= from_iso_ms(item["changedAt"]["S"].partition("#")[0]) < until:
                attempt = self.attempts.get(item["agencyTrackingId"]["S"])
                if item["kind"] == {"S": "event"} and attempt is not None:
                    yield to_item(attempt)
                yield item

    def _items(self) -> list[Item]:
        return [
            *map(to_item, self.attempts.values()),
            *map(to_item, self.events),
            *map(reversal_to_item, self.reversals),
            *map(deposit_to_item, self.deposits),
        ]

    def start(self, amount: str = "60.00", fee: str = FEES[0], client: str = "dawson", **values: Any) -> Attempt:
        """Add an attempt, received now."""
        number = len(self.attempts)
        attempt = Attempt(
            agency_tracking_id=f"atid{number:06d}",
            client=client,
            reference=f"00000000-0000-4000-8000-{number:012d}",
            fee=fee,
            fee_version="1",
            tcs_app_id="TCSUSTAXCOURTPETITION",
            amount=Decimal(amount),
            metadata={"docketNumber": f"{number}-26"},
            url_success="https://client.example/ok",
            url_cancel="https://client.example/no",
            created_at=self.now,
            updated_at=self.now,
            status="received",
            **values,
        )
        return self._write(attempt, "started", None)

    def move(self, attempt: Attempt, status: Status, event: str = "moved", **values: Any) -> Attempt:
        """Change the attempt now and return it."""
        return self._write(replace(attempt, status=status, updated_at=self.now, **values), event, attempt.status)

    def reverse(self, attempt: Attempt, amount: str, kind: ReversalKind = "returned", **facts: Any) -> Attempt:
        """Record now that ``amount`` dollars of a processed attempt went back, and return the attempt."""
        number = sum(each.agency_tracking_id == attempt.agency_tracking_id for each in self.reversals) + 1
        self.reversals.append(
            Reversal(
                client=attempt.client,
                reference=attempt.reference,
                agency_tracking_id=attempt.agency_tracking_id,
                attempt_created_at=attempt.created_at,
                seq=number,
                reversal_id=f"{attempt.agency_tracking_id}#{kind}#{number}",
                kind=kind,
                amount=Decimal(amount),
                at=self.now,
                **{"source": "operator", **facts},
            )
        )
        total = (attempt.reversed_amount or ZERO) + Decimal(amount)
        event = "refund_approved" if kind == "refunded" else kind
        facts = {"reversal": number, "reversal_amount": amount}
        return self._write(replace(attempt, reversed_amount=total), event, attempt.status, **facts)

    def deposit(self, attempt: Attempt, ticket: str, on: str = "2026-04-01") -> None:
        """Record now that ``ticket`` holds the money of a processed attempt."""
        self.deposits.append(
            Deposit(
                client=attempt.client,
                reference=attempt.reference,
                agency_tracking_id=attempt.agency_tracking_id,
                attempt_created_at=attempt.created_at,
                ticket=ticket,
                deposited_on=on,
                amount=attempt.amount,
                at=self.now,
                source="operator",
                by="Ada",
            )
        )

    def _write(self, attempt: Attempt, event: str, before: Any, **detail: Any) -> Attempt:
        seq = attempt.event_seq + 1
        attempt = replace(attempt, event_seq=seq, version=seq)
        self.attempts[attempt.agency_tracking_id] = attempt
        self.events.append(
            Event(
                client=attempt.client,
                reference=attempt.reference,
                agency_tracking_id=attempt.agency_tracking_id,
                seq=seq,
                at=self.now,
                name=cast("EventName", event),  # reports show any name
                actor="portal",
                from_status=before,
                to_status=attempt.status,
                detail={"n": seq, **detail},
            )
        )
        return attempt

    def pay(self, count: int, seed: int = 1, spacing_s: float = 3600.0) -> None:
        """Add ``count`` payments of every kind, ``spacing_s`` apart; most of them are finished."""
        draw = random.Random(seed)
        for _ in range(count):
            self.now += spacing_s
            attempt = self.start(fee=draw.choice(FEES), client=draw.choice(("dawson", "exams")), token="t" * 32)
            attempt = self.move(attempt, "initiated", "token_given", token_at=self.now)
            method = draw.choice(("PLASTIC_CARD", "ACH", "PAYPAL"))
            ending = draw.random()
            if ending < 0.1:
                continue
            self.now += 60
            attempt = self.move(attempt, "processing", "claimed")
            if ending < 0.2:
                self.now += 1
                self.move(attempt, "failed", "refused", return_code="4019", return_detail="No", payment_method=method)
            elif method == "ACH":
                self.now += 1
                attempt = self.move(attempt, "pending", "accepted", payment_method=method)
                self.now += draw.randrange(100, 200_000)
                self.move(attempt, "processed", "settled", transaction_status="Settled", paygov_tracking_id="P1")
            else:
                self.now += 1
                self.move(attempt, "processed", "completed", payment_method=method, transaction_status="Success")
