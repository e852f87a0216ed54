"""Check the chains of a whole payments table, with bounded memory.

    parallel scan ─► the items of one partition ─► check ─► suspicions ─► read the partition again ─► findings

A scan returns the items of a partition together, so only one partition per segment is in memory. A store that returns
them in two parts, and a payment that changes during the scan, only cause suspicions. A suspicion becomes a finding if
two reads of the whole partition give the same items, and these items do not fit.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bursar.dynamo.items.attribute_values import Item
from bursar.payments.audit.chain_check import ChainCounts, ChainFinding, check_obligation
from bursar.payments.ledger.store_records.change_shards import CHANGE_SHARDS, counts_of
from bursar.payments.ledger.store_records.move_state import PARTITION

if TYPE_CHECKING:
    from bursar.dynamo.clients.store import Store

SEGMENTS: Final = 4
FINDINGS_MAX: Final = 10_000
"""The most findings that a report lists; later ones are only counted."""
CONFIRM_PAUSE_S: Final = 0.2
"""The time between two reads of a suspicious partition: a transaction is completely visible by then."""
CONFIRM_READS_MAX: Final = 10
_OBLIGATIONS: Final = "o#"
"""The beginning of the partition key of every obligation, and of no other item."""


@dataclass
class ChainReport:
    """The result. ``count`` counts all findings, ``findings`` lists the first :data:`FINDINGS_MAX`."""

    counts: ChainCounts = field(default_factory=ChainCounts)
    roots: int = 0
    count: int = 0
    findings: list[ChainFinding] = field(default_factory=list)

    def add(self, finding: ChainFinding) -> None:
        """Count a finding, and list it if the list has room."""
        self.count += 1
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(finding)

    @property
    def totals(self) -> Mapping[str, int]:
        """How much was checked and found, by name."""
        counts = self.counts
        return {
            "obligations": counts.obligations,
            "attempts": counts.attempts,
            "events": counts.events,
            "written before the chain": counts.unchained,
            "daily roots": self.roots,
            "findings": self.count,
        }

    def lines(self) -> list[tuple[str, Mapping[str, Any]]]:
        """Return the listed findings, each as one line of text and as a JSON object."""
        return [(f"{each.kind}: {each.message}", asdict(each)) for each in self.findings]


async def audit_chains(
    store: "Store", table: str, *, segments: int = SEGMENTS, on_progress: Callable[[int], None] | None = None
) -> ChainReport:
    """Check every chain of events in ``table``. ``on_progress`` receives the number of items read so far.

    Raises the store's errors.
    """
    auditing = _ChainAudit(store, table, on_progress)
    await auditing.learn_shards()
    async with asyncio.TaskGroup() as group:
        for segment in range(segments):
            group.create_task(auditing.scan(segment, segments))
    return auditing.report


class _ChainAudit:
    def __init__(self, store: "Store", table: str, on_progress: Callable[[int], None] | None) -> None:
        self._store, self._table, self._on_progress = store, table, on_progress
        self._items_read = 0
        self._shard_counts: Collection[int] = (1,)
        self.report = ChainReport()

    async def learn_shards(self) -> None:
        """Read the numbers of shards that the index ``changes`` had.

        A writer may begin to use a new number during the audit.
        """
        request = {
            "TableName": self._table,
            "ConsistentRead": True,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :shards)",
            "ExpressionAttributeValues": {":pk": {"S": PARTITION}, ":shards": {"S": f"{CHANGE_SHARDS}#"}},
        }
        self._shard_counts = counts_of([item async for item in self._all("Query", request)])

    async def scan(self, segment: int, segments: int) -> None:
        """Check the partitions of one segment."""
        request: dict[str, Any] = {"TableName": self._table, "ConsistentRead": True}
        if segments > 1:
            request |= {"Segment": segment, "TotalSegments": segments}
        together: list[Item] = []
        async for item in self._all("Scan", request):
            self._items_read += 1
            if together and item["pk"] != together[0]["pk"]:
                await self._check(together)
                together = []
            if str(item["pk"].get("S", "")).startswith(_OBLIGATIONS):
                together.append(item)
        if together:
            await self._check(together)

    async def _check(self, items: list[Item]) -> None:
        findings, counts = check_obligation(items, self._shard_counts)
        if findings:
            findings, counts = await self._confirmed(items)
        for finding in findings:
            self.report.add(finding)
        self.report.counts.add(counts)
        if self._on_progress is not None:
            self._on_progress(self._items_read)

    async def _confirmed(self, items: list[Item]) -> tuple[list[ChainFinding], ChainCounts]:
        """Read the partition of ``items`` until two reads agree or nothing is suspicious."""
        request = {
            "TableName": self._table,
            "ConsistentRead": True,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": items[0]["pk"]},
        }
        for _ in range(CONFIRM_READS_MAX):
            await self.learn_shards()
            read = [item async for item in self._all("Query", request)]
            findings, counts = check_obligation(read, self._shard_counts)
            if not findings or read == items:
                break
            items = read
            await asyncio.sleep(CONFIRM_PAUSE_S)
        return findings, counts

    async def _all(self, operation: str, request: dict[str, Any]) -> AsyncIterator[Item]:
        """Yield the items of all pages."""
        page = dict(request)
        while True:
            reply = await self._store.call(operation, page)
            for item in reply["Items"]:
                yield item
            if "LastEvaluatedKey" not in reply:
                return
            page["ExclusiveStartKey"] = reply["LastEvaluatedKey"]
