"""Check the chain of events of one obligation, from the items of its partition.

The check reads raw attributes and decodes no record, because an altered item may be unreadable. An event is identified
by its sort key, which has its attempt and its number. Its findings, by kind:

    altered     the hash of an event is not the one that the next event, or the attempt, holds
    removed     a number is missing in an attempt's events, or events have no attempt
    misplaced   the content of an item belongs to another key, as after a swap or a copy
    unchained   an event or attempt holds no hash although the event before it is chained
    disagrees   the attempt, or the next event, has another status, time, amount or id than the event
"""

import json
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal

from bursar.dynamo.items.attribute_values import Item
from bursar.payments.event_chain import CHAIN_BEGINS, EVENT_HASH, PREVIOUS_HASH, event_hash
from bursar.payments.ledger.store_records.change_shards import bucket_of, shard_of
from bursar.payments.records import (
    ATTEMPT,
    ATTEMPTS_BEGIN,
    CHANGE_BUCKET_CHARS,
    EVENT,
    EVENTS_BEGIN,
    IMPORTED,
    IMPORTED_UPDATED_AT,
    partition_key,
)
from bursar.payments.status import FINAL

ChainFindingKind = Literal["altered", "removed", "misplaced", "unchained", "disagrees", "root"]


@dataclass(frozen=True)
class ChainFinding:
    """One problem. ``place`` identifies the event or the attempt; ``check`` is the check that failed.

    A finding about a daily root has the root's date as its place.
    """

    kind: ChainFindingKind
    place: str
    check: str
    client: str | None = None
    reference: str | None = None
    attempt: str | None = None
    seq: int | None = None

    @property
    def message(self) -> str:
        """The finding in one line."""
        return f"{self.place}: {self.check}"


@dataclass
class ChainCounts:
    """How much was checked. ``unchained`` events were written before Bursar chained events."""

    obligations: int = 0
    attempts: int = 0
    events: int = 0
    unchained: int = 0

    def add(self, other: "ChainCounts") -> None:
        """Add the counts of another part."""
        self.obligations += other.obligations
        self.attempts += other.attempts
        self.events += other.events
        self.unchained += other.unchained


@dataclass
class _Chain:
    """The events of one attempt, by number. ``attempt`` is None if only its events exist."""

    attempt_id: str
    attempt: Item | None = None
    events: dict[int, Item] = field(default_factory=dict)
    hashes: dict[int, str] = field(default_factory=dict)


def check_obligation(
    items: Sequence[Item], shard_counts: Collection[int] = (1,)
) -> tuple[list[ChainFinding], ChainCounts]:
    """Return the findings in ``items``, which are all items of one partition, and how much was checked.

    ``shard_counts``: every number of shards that the index ``changes`` had (:meth:`ChangeShards.counts`). An event in
    another shard is misplaced: readers of the index would miss it.
    """
    return _ObligationCheck(items, shard_counts).run()


class _ObligationCheck:
    def __init__(self, items: Sequence[Item], shard_counts: Collection[int]) -> None:
        self._items = items
        self._shard_counts = shard_counts
        self._findings: list[ChainFinding] = []
        self._counts = ChainCounts()
        self._client, self._reference = _obligation_of(items)

    def run(self) -> tuple[list[ChainFinding], ChainCounts]:
        chains: dict[str, _Chain] = {}
        for item in sorted(self._items, key=lambda item: _text(item, "sk") or ""):
            kind, sk = _text(item, "kind"), _text(item, "sk") or ""
            if sk.startswith(ATTEMPTS_BEGIN) or kind == ATTEMPT:
                self._place_attempt(chains, item, sk)
            elif sk.startswith(EVENTS_BEGIN) or kind == EVENT:
                self._place_event(chains, item, sk)
        self._counts.obligations = int(bool(chains))
        before: _Chain | None = None
        for chain in chains.values():
            if chain.attempt is None:
                self._add("removed", chain, None, f"the attempt of its {len(chain.events)} events is missing")
            self._check_events(chain, before)
            if chain.attempt is not None:
                self._check_numbers(chain)
                self._check_attempt(chain, chain.attempt)
                before = chain
        return self._findings, self._counts

    def _place_attempt(self, chains: dict[str, _Chain], item: Item, sk: str) -> None:
        attempt_id = sk.rpartition("#")[2]
        chain = chains.setdefault(attempt_id, _Chain(attempt_id))
        chain.attempt = item
        self._counts.attempts += 1
        expected = f"{ATTEMPTS_BEGIN}{_text(item, 'createdAt')}#{_text(item, 'agencyTrackingId')}"
        if sk != expected or not self._in_partition(item) or _text(item, "kind") != ATTEMPT:
            self._add("misplaced", chain, None, f"its content belongs to the key {expected}")

    def _place_event(self, chains: dict[str, _Chain], item: Item, sk: str) -> None:
        attempt_id, _, number = sk.removeprefix(EVENTS_BEGIN).rpartition("#")
        chain = chains.setdefault(attempt_id, _Chain(attempt_id))
        seq = int(number) if number.isdecimal() else 0
        chain.events[seq] = item
        chain.hashes[seq] = event_hash(item)
        self._counts.events += 1
        event_id = f"{_text(item, 'agencyTrackingId')}#{_number(item, 'seq'):04d}"
        at = _text(item, "at") or ""
        keys = {
            "sk": f"{EVENTS_BEGIN}{event_id}",
            "changeBucket": self._bucket(item, at[:CHANGE_BUCKET_CHARS]),
            "changedAt": f"{at}#{event_id}",
        }
        wrong = next((name for name, value in keys.items() if _text(item, name) != value), None)
        if wrong is not None:
            self._add("misplaced", chain, seq, f"its content belongs to the {wrong} {keys[wrong]}")
        elif not self._in_partition(item) or _text(item, "kind") != EVENT:
            self._add("misplaced", chain, seq, "its content belongs to another obligation or kind")

    def _check_events(self, chain: _Chain, before: _Chain | None) -> None:
        """Check each event's link to the event before it."""
        chained = False
        earlier: Item | None = None
        for seq in sorted(chain.events):
            event = chain.events[seq]
            held = _text(event, PREVIOUS_HASH)
            if held is None and not chained and PREVIOUS_HASH not in event:
                self._counts.unchained += 1
            elif held is None:
                self._add("unchained", chain, seq, f"it holds no {PREVIOUS_HASH}, but event {seq - 1} is chained")
            elif not chained:
                self._check_first_link(chain, seq, held, before)
            elif seq - 1 in chain.events and held != chain.hashes[seq - 1]:
                self._add("altered", chain, seq - 1, f"its hash is not the {PREVIOUS_HASH} that event {seq} holds")
            chained = chained or PREVIOUS_HASH in event
            if seq - 1 in chain.events and earlier is not None:
                self._check_status_follows(chain, seq, earlier, event)
            earlier = event

    def _check_first_link(self, chain: _Chain, seq: int, held: str, before: _Chain | None) -> None:
        """Check the previous hash of the first chained event of an attempt."""
        if seq > 1:
            if held != CHAIN_BEGINS and seq - 1 in chain.events:
                self._add("unchained", chain, seq - 1, f"it holds no {PREVIOUS_HASH}, but event {seq} is chained to it")
            return
        if before is None:
            if held != CHAIN_BEGINS:
                self._add("removed", chain, seq, f"the event that its {PREVIOUS_HASH} names is not there")
            return
        # The previous attempt may have got a later event (an erasure), so the hash of any of its events is accepted.
        known = {CHAIN_BEGINS} if not _is_chained(before) else {_text(before.attempt or {}, EVENT_HASH)}
        known |= {before.hashes[n] for n, event in before.events.items() if PREVIOUS_HASH in event}
        missing = before.attempt is not None and _number(before.attempt, "eventSeq") > len(before.events)
        if held not in known and not missing:
            last = max(before.events, default=0)
            self._add(
                "altered", before, last, f"its hash is not the {PREVIOUS_HASH} that {chain.attempt_id}, event 1, holds"
            )

    def _check_status_follows(self, chain: _Chain, seq: int, earlier: Item, event: Item) -> None:
        if _text(event, "fromStatus") != _text(earlier, "toStatus"):
            self._add("disagrees", chain, seq, f"its fromStatus is not the toStatus of event {seq - 1}")

    def _check_numbers(self, chain: _Chain) -> None:
        """Check that the events have the numbers 1 to the attempt's number of events."""
        assert chain.attempt is not None
        count = _number(chain.attempt, "eventSeq")
        for first, last in _gaps(sorted(chain.events), count):
            which = f"event {first}" if first == last else f"events {first} to {last}"
            self._add(
                "removed",
                chain,
                first,
                f"{which} of {count} is missing" if first == last else f"{which} of {count} are missing",
            )
        for seq in sorted(chain.events):
            if not 1 <= seq <= count:
                self._add("altered", chain, seq, f"the attempt counts {count} events")

    def _check_attempt(self, chain: _Chain, attempt: Item) -> None:
        """Check the attempt against its last event."""
        last_seq = max(chain.events, default=0)
        if last_seq == 0 or last_seq < _number(attempt, "eventSeq"):
            return  # the last event is reported as removed
        last, held = chain.events[last_seq], _text(attempt, EVENT_HASH)
        if held is not None and held != chain.hashes[last_seq]:
            self._add("altered", chain, last_seq, f"its hash is not the {EVENT_HASH} that the attempt holds")
        elif held is None and (PREVIOUS_HASH in last or EVENT_HASH in attempt):
            self._add("unchained", chain, None, f"the attempt holds no {EVENT_HASH}, but event {last_seq} is chained")
        elif held is not None and PREVIOUS_HASH not in last:
            self._add(
                "unchained", chain, last_seq, f"it holds no {PREVIOUS_HASH}, but the attempt holds an {EVENT_HASH}"
            )
        self._check_same(chain, attempt, "status", last_seq, "toStatus")
        # An event of a final attempt, such as a return or an erasure, keeps the time at which the status changed.
        changes = [seq for seq, event in chain.events.items() if _text(event, "fromStatus") not in FINAL]
        changed = max(changes, default=last_seq)
        if _text(chain.events[changed], "name") != IMPORTED:
            self._check_same(chain, attempt, "lastUpdatedAt", changed, "at")
        elif _detail(chain.events[changed]).get(IMPORTED_UPDATED_AT) != _text(attempt, "lastUpdatedAt"):
            self._add("disagrees", chain, None, f"lastUpdatedAt of the attempt is not that of event {changed}")
        self._check_facts(chain, attempt)

    def _check_same(self, chain: _Chain, attempt: Item, name: str, seq: int, of_event: str) -> None:
        if _text(chain.events[seq], of_event) != _text(attempt, name):
            self._add("disagrees", chain, None, f"{name} of the attempt is not {of_event} of event {seq}")

    def _check_facts(self, chain: _Chain, attempt: Item) -> None:
        """Check the attempt's facts about money against its events. Events of older versions may lack these facts."""
        held: dict[str, tuple[int, str]] = {}
        for seq in sorted(chain.events):
            detail = _detail(chain.events[seq])
            held |= {name: (seq, str(detail[name])) for name in _FACTS if name in detail}
        for name, (seq, value) in held.items():
            attribute, same = _FACTS[name]
            if not same(attempt.get(attribute, {}), value):
                self._add("disagrees", chain, None, f"{attribute} of the attempt is not {name} of event {seq}")

    def _bucket(self, item: Item, hour: str) -> str:
        """Return the bucket of the event in ``item`` if its shard is possible; otherwise the bucket in shard 0."""
        shards = {shard_of(_text(item, "pk") or "", count) for count in self._shard_counts}
        buckets = {bucket_of(hour, shard) for shard in shards}
        stored = _text(item, "changeBucket") or ""
        return stored if stored in buckets else hour

    def _in_partition(self, item: Item) -> bool:
        client, reference = _text(item, "client"), _text(item, "reference")
        return client is not None and reference is not None and _text(item, "pk") == partition_key(client, reference)

    def _add(self, kind: ChainFindingKind, chain: _Chain, seq: int | None, check: str) -> None:
        place = f"{self._client}/{self._reference}, attempt {chain.attempt_id}"
        if seq is not None:
            place += f", event {seq}"
        self._findings.append(ChainFinding(kind, place, check, self._client, self._reference, chain.attempt_id, seq))


def _is_amount(stored: Any, text: str) -> bool:
    try:
        return Decimal(stored.get("N", "")) == Decimal(text)
    except ArithmeticError:
        return False


def _is_text(stored: Any, text: str) -> bool:
    return bool(stored == {"S": text})


_FACTS: Final[Mapping[str, tuple[str, Callable[[Any, str], bool]]]] = {
    "amount": ("amount", _is_amount),
    "reversed_amount": ("reversedAmount", _is_amount),
    "fee": ("fee", _is_text),
    "fee_version": ("feeVersion", _is_text),
    "paygov_tracking_id": ("payGovTrackingId", _is_text),
}
"""Name in an event's detail → the attempt's attribute with the same fact, and how the two are compared."""


def _detail(event: Item) -> Mapping[str, Any]:
    try:
        detail = json.loads(_text(event, "detail") or "{}")
    except ValueError:
        return {}  # it is reported as altered
    return detail if isinstance(detail, dict) else {}


def _is_chained(chain: _Chain) -> bool:
    return EVENT_HASH in (chain.attempt or {}) or any(PREVIOUS_HASH in event for event in chain.events.values())


def _obligation_of(items: Sequence[Item]) -> tuple[str, str]:
    """Return the client and the reference that the partition's key names."""
    pk = next((_text(item, "pk") or "" for item in items), "")
    client, _, reference = pk.removeprefix("o#").partition("#")
    return client, reference


def _gaps(numbers: Sequence[int], count: int) -> Iterator[tuple[int, int]]:
    """Yield the ranges (first, last) of 1 … ``count`` that are not in ``numbers``, which are sorted."""
    expected = 1
    for number in (*(n for n in numbers if 1 <= n <= count), count + 1):
        if number > expected:
            yield expected, number - 1
        expected = number + 1


def _text(item: Item, name: str) -> str | None:
    value: str | None = item.get(name, {}).get("S")
    return value


def _number(item: Item, name: str) -> int:
    """Return a whole number from ``item``, 0 for any other value."""
    text = str(item.get(name, {}).get("N", ""))
    return int(text) if text.isdecimal() else 0
