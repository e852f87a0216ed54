"""Write a generated history: all its days into a new store, and collections into the simulator's books.

    days ─► worker processes play their payments ─► rows ─► one process fills the store

Each day has its own randomness, made from the seed and the day. So the same payments, months, seed and last day give
the same history, for any number of processes.
"""

import asyncio
import multiprocessing
import os
import random
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Final

from bursar.bootstrap.generate.calendar import HistoryDay, end_of, history_days, start_times
from bursar.bootstrap.generate.samples import sample_metadata
from bursar.bootstrap.generate.scratch import NoStore, ScratchObligation, Sentinels
from bursar.bootstrap.generate.stories import Payer, Stories, StoryClock, new_reference
from bursar.dynamo.items.attribute_values import Item
from bursar.dynamo.tools.bulk_fill import FilledRows, RowMaker, TableDefinition, TableFill
from bursar.paygov.simulator.books import FAILED, SUCCESS, Books, Entry
from bursar.payments.catalogue.clients import EVERY_FEE
from bursar.payments.catalogue.fees import Fee, FeeCatalogue
from bursar.payments.ledger.ledger import Ledger
from bursar.payments.records import ATTEMPT, EVENT, Attempt, attempt_from_item
from bursar.payments.reversals import REVERSAL

DAYS_AHEAD_MAX: Final = 4
"""The most days per worker process whose rows wait for the process that writes the file."""
_FEE_WEIGHTS: Final = (25, 5, 70)
"""Shares of the catalogue's fees, in the order of their keys; further fees have the first share."""
_CLIENT_WEIGHTS: Final = (60, 25, 15)
_CENTS_MAX: Final = 4_000


@dataclass(frozen=True, slots=True)
class HistoryPlan:
    """The parameters of a history: ``payments`` over ``months`` months, and the last day ``until`` (New York).

    ``fees_path``: the catalogue's file, None for the one that ships. ``clients``: each client's name and its fees.
    """

    payments: int
    months: int
    seed: int
    until: date
    fees_path: str | None
    clients: tuple[tuple[str, frozenset[str]], ...]


@dataclass(slots=True)
class Generated:
    """The result: attempts by status, and the numbers of events and reversals."""

    statuses: Counter[str] = field(default_factory=Counter)
    events: int = 0
    reversals: int = 0

    def add(self, other: "Generated") -> None:
        """Add the numbers of another part."""
        self.statuses += other.statuses
        self.events += other.events
        self.reversals += other.reversals


@dataclass(frozen=True, slots=True)
class DayPart:
    """The rows of one day, the collections that the sweeper may still ask Pay.gov about, and the day's numbers."""

    rows: FilledRows = field(repr=False)
    watched: list[Entry] = field(repr=False)
    generated: Generated


def write_history(
    plan: HistoryPlan,
    store: Path,
    table: str,
    books: Books | None,
    on_day: Callable[[HistoryDay], None] = lambda day: None,
    *,
    processes: int | None = None,
) -> Generated:
    """Fill the empty table of the store at ``store``, and call ``on_day`` after each day.

    ``processes``: how many processes play payments; by default one for each processor. Raises ``OSError``,
    ``apsw.Error``, and ``ValueError`` if the table is not empty.
    """
    total = Generated()
    with TableFill(str(store), table) as fill:
        for day, part in _played(plan, fill.definition, processes or os.cpu_count() or 1):
            fill.add(part.rows)
            if books is not None:
                for entry in part.watched:
                    _book(books, entry)
            total.add(part.generated)
            on_day(day)
    return total


def _played(plan: HistoryPlan, definition: TableDefinition, processes: int) -> Iterator[tuple[HistoryDay, DayPart]]:
    """Yield each day with its part, in order."""
    days = history_days(plan.payments, plan.months, plan.until)
    if processes == 1:
        yield from ((day, play_day(plan, definition, day)) for day in days)
        return
    waiting: deque[tuple[HistoryDay, Future[DayPart]]] = deque()
    with ProcessPoolExecutor(processes, multiprocessing.get_context("spawn")) as pool:
        for day in days:
            waiting.append((day, pool.submit(play_day, plan, definition, day)))
            if len(waiting) > processes * DAYS_AHEAD_MAX:
                first, future = waiting.popleft()
                yield first, future.result()
        for first, future in waiting:
            yield first, future.result()


def play_day(plan: HistoryPlan, definition: TableDefinition, day: HistoryDay) -> DayPart:
    """Play the payments that start on ``day``."""
    return asyncio.run(_player(plan, definition).play(day))


@cache
def _player(plan: HistoryPlan, definition: TableDefinition) -> "DayPlayer":
    return DayPlayer(plan, RowMaker(definition))


class DayPlayer:
    """Plays days, one after the other, with one ledger."""

    def __init__(self, plan: HistoryPlan, maker: RowMaker) -> None:
        self._plan = plan
        self._maker = maker
        self._fees = FeeCatalogue.default() if plan.fees_path is None else FeeCatalogue.load(plan.fees_path)
        self._scratch = ScratchObligation()
        self._clock = StoryClock(end_of(plan.until))
        self._draw = random.Random()
        self._ledger = Ledger(
            NoStore(),
            clock=self._clock,
            randomness=self._draw,
            table=maker.name,
            fees=self._fees,
            compare_and_swap=self._scratch,
        )
        self._sentinels = Sentinels(self._ledger.rules)
        self._stories = Stories(self._ledger, self._clock, self._draw)

    async def play(self, day: HistoryDay) -> DayPart:
        """Return the rows of the payments that start on ``day``."""
        self._draw.seed(f"{self._plan.seed} {day.day}")
        items: list[Item] = []
        watched: list[Entry] = []
        generated = Generated()
        for at in start_times(day, self._draw):
            payer = self._payer(at)
            if payer is None:
                continue
            await self._stories.play(payer, at)
            written = self._scratch.take()
            items += written
            items += self._sentinels.of(written)
            _count(generated, watched, written)
        return DayPart(self._maker.rows(items), watched, generated)

    def _payer(self, at: float) -> Payer | None:
        """Return a payer at ``at``; None if no client may charge a fee then."""
        offers = [
            (weight_of_fee * weight_of_client, client, fee)
            for weight_of_fee, fee in self._fees_at(at)
            for weight_of_client, client in self._clients_of(fee.key)
        ]
        if not offers:
            return None
        ((_, client, fee),) = self._draw.choices(offers, [weight for weight, _, _ in offers])
        cents = self._draw.randrange(50, _CENTS_MAX + 1, 50)
        amount = Decimal(cents) / 100 if fee.amount is None else fee.amount
        return Payer(client, fee, amount, sample_metadata(fee, self._draw), new_reference(self._draw))

    def _fees_at(self, at: float) -> list[tuple[int, Fee]]:
        found = [(place, self._fees.fee(key, at)) for place, key in enumerate(self._fees.keys)]
        return [(_weight(_FEE_WEIGHTS, place, 0), fee) for place, fee in found if fee is not None]

    def _clients_of(self, fee_key: str) -> list[tuple[int, str]]:
        return [
            (_weight(_CLIENT_WEIGHTS, place, -1), name)
            for place, (name, fees) in enumerate(self._plan.clients)
            if EVERY_FEE in fees or fee_key in fees
        ]


def _weight(weights: tuple[int, ...], place: int, otherwise: int) -> int:
    return weights[place] if place < len(weights) else weights[otherwise]


def _count(generated: Generated, watched: list[Entry], items: list[Item]) -> None:
    for item in items:
        kind = item["kind"]["S"]
        if kind == EVENT:
            generated.events += 1
        elif kind == REVERSAL:
            generated.reversals += 1
        elif kind == ATTEMPT:
            generated.statuses[item["status"]["S"]] += 1
            if "dueAt" in item and "token" in item:
                watched.append(_entry(attempt_from_item(item)))


def _entry(attempt: Attempt) -> Entry:
    """Return Pay.gov's record of an attempt that the sweeper may still ask about."""
    assert attempt.token is not None
    assert attempt.token_at is not None
    entry = Entry(
        token=attempt.token,
        tcs_app_id=attempt.tcs_app_id,
        agency_tracking_id=attempt.agency_tracking_id,
        amount=attempt.amount,
        url_success=attempt.url_success,
        url_cancel=attempt.url_cancel,
        started_at=attempt.token_at,
    )
    if attempt.paygov_tracking_id is None:
        return entry
    paid_at = attempt.unsettled_since or attempt.settled_at or attempt.updated_at
    return replace(
        entry,
        payment_type=attempt.payment_method,
        outcome=FAILED if attempt.return_code else SUCCESS,
        paid_at=paid_at,
        completed_at=paid_at,
        paygov_tracking_id=attempt.paygov_tracking_id,
    )


def _book(books: Books, entry: Entry) -> None:
    books.start(entry)
    if entry.payment_type and entry.outcome and entry.paid_at and entry.paygov_tracking_id:
        books.pay(entry, entry.payment_type, entry.outcome, entry.paid_at)
        books.complete(entry, entry.paygov_tracking_id, entry.paid_at)
