"""The audit of a table: read all of it and report every broken rule, regardless of the writer that broke it.

    parallel scan ─► each item by itself: kind, checks, values of graphs           ─► findings
          │
          └────────► facts about two items, noted on disk ─► suspicions ─► read again, at one instant ─► findings

Other clients may write to the table during the audit: it reports nothing that one transactional read of the items
involved does not confirm. Repair removes only a sentinel whose owner is absent or does not own its value. Adoption
writes the missing sentinel of a value that one item owns. Both use transactions that fail if the facts behind them are
no longer true.
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from bursar.dynamo.errors import DynamoError
from bursar.dynamo.items.attribute_values import Item
from bursar.rules.audit.scratch_database import ScratchDatabase, digest, key_from_text, key_text
from bursar.rules.judging.plan import RulesPlan
from bursar.rules.judging.sentinels import OWNER, SORT_VALUE, is_sentinel, sentinel_item, sentinel_key
from bursar.rules.language.ruleset import Rules
from bursar.rules.transactions.as_read_conditions import ALL_OLD, AsReadConditions, placeholder

if TYPE_CHECKING:
    from bursar.dynamo.clients.store import Store

SEGMENTS = 4
FINDINGS_MAX = 10_000
"""The most findings that a report lists; later ones are only counted."""
TOGETHER_MAX = 100
"""The most items that one TransactGetItems reads (DynamoDB's quota)."""
TRIES_MAX = 8
WAIT_MAX_S = 2.0

OnProgress = Callable[[int], None]
NotePage = Callable[[list[dict[str, Any]]], Awaitable[None]]


FindingKind = Literal["violation", "duplicate", "orphan", "wrong total", "missing sentinel", "stale sentinel"]


@dataclass(frozen=True)
class Finding:
    """One broken rule, by kind."""

    kind: FindingKind
    rule: str
    key: Item
    message: str
    repaired: bool = False


@dataclass
class Report:
    """The result of an audit. ``count`` counts all findings, ``findings`` lists the first :data:`FINDINGS_MAX`."""

    items_read: int = 0
    sentinels_read: int = 0
    count: int = 0
    repaired: int = 0
    findings: list[Finding] = field(default_factory=list)

    def add(self, finding: Finding) -> None:
        """Count a finding, and list it if the list has room."""
        self.count += 1
        self.repaired += finding.repaired
        if len(self.findings) < FINDINGS_MAX:
            self.findings.append(finding)

    @property
    def clean(self) -> bool:
        """Whether there are no findings, or all of them were repaired."""
        return self.count == self.repaired


async def audit_table(
    store: "Store",
    table: str,
    rules: Rules,
    *,
    randomness: random.Random,
    segments: int = SEGMENTS,
    on_progress: OnProgress | None = None,
    sentinels: bool = True,
    repair: bool = False,
    adopt: bool = False,
) -> Report:
    """Read ``table`` and report everything in it that breaks ``rules``.

    ``segments`` scans run at once; ``on_progress`` receives the number of items read so far. ``sentinels`` False: no
    writer of the table uses the compiled form, so none are expected. ``repair`` removes stale sentinels. ``adopt``
    writes missing ones, ``segments`` at once, but none for a value that two items own, because the second owner could
    then never give it up. Raises the store's errors once throttling has outlasted the retries.
    """
    auditing = _Audit(store, table, RulesPlan(rules), randomness, on_progress, sentinels, repair, adopt)
    try:
        return await auditing.run(segments)
    finally:
        auditing.scratch.close()


class _Audit:
    def __init__(
        self,
        store: "Store",
        table: str,
        plan: RulesPlan,
        randomness: random.Random,
        on_progress: OnProgress | None,
        sentinels: bool,
        repair: bool,
        adopt: bool,
    ) -> None:
        self.store, self.table, self.plan, self.randomness = store, table, plan, randomness
        self.on_progress, self.sentinels, self.repair, self.adopt = on_progress, sentinels, repair, adopt
        self._duplicate_values: set[str] = set()
        self.scratch = ScratchDatabase()
        self.report = Report()
        self._children: dict[str | None, list[tuple[str, tuple[str, ...]]]] = {}
        for kind in plan.kinds.values():
            for parent in kind.parents:
                agreed = self._children.setdefault(parent.rule.parent, [])
                if (parent.rule.name, parent.attributes) not in agreed:
                    agreed.append((parent.rule.name, parent.attributes))

    async def run(self, segments: int) -> Report:
        await self._scan_all(segments, self._note_page)
        self.scratch.index_owned_values()
        for partition, owners in self.scratch.duplicates():
            await self._check_duplicate(partition, [key_from_text(owner) for owner in owners])
        for rule, child in self.scratch.orphans():
            await self._check_orphan(rule, key_from_text(child))
        await self._check_totals(segments)
        for partition, owner in self.scratch.without_owner():
            await self._check_stale(partition, owner)
        if self.sentinels:
            missing = self.scratch.without_sentinel()
            await _run_all([self._check_each_missing(missing) for _ in range(segments)])
        return self.report

    # --- the scan --------------------------------------------------------------------------------------------------

    async def _scan_all(self, segments: int, note_page: NotePage) -> None:
        await _run_all([self._scan(segment, segments, note_page) for segment in range(segments)])

    async def _scan(self, segment: int, segments: int, note_page: NotePage) -> None:
        request = {"TableName": self.table, "ConsistentRead": True}
        if segments > 1:
            request.update(Segment=segment, TotalSegments=segments)
        while True:
            page = await self._call("Scan", request)
            await note_page(page.get("Items", []))
            if "LastEvaluatedKey" not in page:
                return
            request = {**request, "ExclusiveStartKey": page["LastEvaluatedKey"]}

    async def _note_page(self, items: list[dict[str, Any]]) -> None:
        plan = self.plan
        owned, sentinels, parents, children = [], [], [], []
        for item in items:
            key = plan.key(item)
            if is_sentinel(item, plan.kind_attribute):
                owner = item.get(OWNER, {}).get("M")
                sentinels.append((key[plan.key_names[0]].get("S", ""), key_text(owner) if owner else ""))
                continue
            found = plan.state_violations(item)
            if found and await self._report_violations(key):
                continue
            kind = plan.kind_of(item)
            if kind is None or found:
                continue
            text = key_text(key)
            for unique in kind.unique_values:
                partition = unique.partition_of(item)
                if partition is not None:
                    owned.append((partition, text))
            for parent in kind.parents:
                parent_key = parent.key(item)
                if parent_key is not None:
                    children.append((parent.rule.name, key_text(parent_key), digest(item, parent.attributes), text))
            for rule, attributes in self._children.get(kind.name, ()):
                parents.append((rule, text, digest(item, attributes)))
        self.scratch.note(owned, sentinels, parents, children)
        self._note_sums(items)
        self.report.items_read += len(items) - len(sentinels)
        self.report.sentinels_read += len(sentinels)
        if self.on_progress is not None:
            self.on_progress(self.report.items_read + self.report.sentinels_read)

    def _note_sums(self, items: list[dict[str, Any]]) -> None:
        """Note the amounts of the children and the totals of the parents of each bounded sum."""
        plan = self.plan
        amounts, totals = [], []
        for item in items:
            kind = plan.kind_of(item)
            if kind is None or not (kind.sums_as_child or kind.sums_as_parent):
                continue
            text = key_text(plan.key(item))
            for rule in kind.sums_as_child:
                parent = None if rule.verdict(None, item) else rule.key(item)
                if parent is not None:
                    amounts.append((rule.rule.name, text, key_text(parent), rule.amount(item)))
            totals += [(rule.rule.name, text, rule.total(item)) for rule in kind.sums_as_parent]
        self.scratch.note_sums(amounts, totals)

    async def _check_each_missing(self, missing: Iterator[tuple[str, str]]) -> None:
        """Check the remaining values of ``missing``, an iterator that several such tasks share."""
        for partition, owner in missing:
            await self._check_missing(partition, key_from_text(owner))

    # --- suspicions, checked again ---------------------------------------------------------------------------------

    async def _report_violations(self, key: Item) -> bool:
        """Read an item again and report the local rules that it breaks; return whether there were any."""
        (item,) = await self._read_together([key])
        found = [] if item is None else self.plan.state_violations(item)
        for violation in found:
            self.report.add(Finding("violation", violation.rule, key, violation.message))
        return bool(found)

    async def _check_duplicate(self, partition: str, owners: list[dict[str, Any]]) -> None:
        distinct = {key_text(owner): owner for owner in owners}
        keys = list(distinct.values())[:TOGETHER_MAX]
        items = await self._read_together(keys)
        owners = [key for key, item in zip(keys, items, strict=True) if self.plan.owns(item, partition)]
        if len(owners) > 1:
            shown = ", ".join(map(self.plan.shown_key, owners))
            rule = self._rule_of(partition)
            if self.adopt:
                self._duplicate_values.add(partition)
            self.report.add(Finding("duplicate", rule, owners[0], f"Rule {rule}: one value is owned by {shown}"))

    async def _check_orphan(self, rule: str, child: Item) -> None:
        (item,) = await self._read_together([child])
        kind = None if item is None else self.plan.kind_of(item)
        if item is None or kind is None:
            return
        parent = next((parent for parent in kind.parents if parent.rule.name == rule), None)
        parent_key = None if parent is None else parent.key(item)
        if parent is None or parent_key is None:
            return
        item, actual = await self._read_together([child, parent_key])
        if item is None or parent.key(item) != parent_key:
            return
        found = self.plan.parent_violation(parent, None, item, actual)
        if found is not None:
            self.report.add(Finding("orphan", rule, child, found.message))

    async def _check_totals(self, segments: int) -> None:
        """Report each parent whose total is not the sum of its children.

        A read does not cover a parent with all its children, some of which may be unknown. But children are never
        removed, so these two are true at one instant:

            seen children > a later total      they existed when the total was read: a finding
            seen children < a total            a finding if a scan that began after the total was read also finds less
        """
        larger = []
        for rule, parent, added in self.scratch.wrong_totals():
            total = await self._total_of(rule, key_from_text(parent))
            if total is not None and added > total:
                self._report_total(rule, parent, total, added)
            elif total is not None and added < total:
                larger.append((rule, parent, total))
        if not larger:
            return

        async def note_page(items: list[dict[str, Any]]) -> None:
            self._note_sums(items)

        await self._scan_all(segments, note_page)
        for rule, parent, total in larger:
            added = self.scratch.sum_of_children(rule, parent)
            if added < total:
                self._report_total(rule, parent, total, added)

    async def _total_of(self, rule: str, parent: Item) -> Decimal | None:
        """Return the present total of ``parent``; None for an absent parent, which is reported for its orphans."""
        (item,) = await self._read_together([parent])
        kind = None if item is None else self.plan.kind_of(item)
        sums = [] if kind is None else [one for one in kind.sums_as_parent if one.rule.name == rule]
        return sums[0].total(item) if sums else None

    def _report_total(self, rule: str, parent: str, total: Decimal, added: Decimal) -> None:
        key = key_from_text(parent)
        message = self.plan.wrong_total_message(rule, key, total - added)
        self.report.add(Finding("wrong total", rule, key, message))

    async def _check_missing(self, partition: str, owner: Item) -> None:
        key = sentinel_key(self.plan.key_names, partition)
        item, sentinel = await self._read_together([owner, key])
        if not self.plan.owns(item, partition):
            return
        named = None if sentinel is None else sentinel.get(OWNER, {}).get("M")
        if named == dict(owner):
            return
        rule = self._rule_of(partition)
        names = "is absent" if named is None else f"names {self.plan.shown_key(named)}"
        message = f"Rule {rule}: {self.plan.shown_key(owner)} owns a value whose sentinel {names}"
        adopted = self.adopt and named is None and await self._write_sentinel(partition, rule, owner, item)
        self.report.add(Finding("missing sentinel", rule, owner, message, adopted))

    async def _check_stale(self, partition: str, owner_text: str) -> None:
        key = sentinel_key(self.plan.key_names, partition)
        owner = key_from_text(owner_text) if owner_text else None
        if owner is None or set(owner) != set(self.plan.key_names):
            (sentinel,) = await self._read_together([key])
            item, owner = None, None
        else:
            sentinel, item = await self._read_together([key, owner])
        if sentinel is None or (owner is not None and sentinel.get(OWNER) != {"M": owner}):
            return
        if self.plan.owns(item, partition):
            return
        rule = self._rule_of(partition)
        names = "no item" if owner is None else self.plan.shown_key(owner)
        message = f"Rule {rule}: the sentinel {self.plan.shown_key(key)} names {names}, which does not own its value"
        repaired = self.repair and await self._remove_sentinel(key, sentinel, owner, item)
        self.report.add(Finding("stale sentinel", rule, key, message, repaired))

    async def _remove_sentinel(self, key: Item, sentinel: Item, owner: Item | None, item: Item | None) -> bool:
        """Remove a sentinel on the condition that it and its owner (if it names one) are as they were read."""
        seen = AsReadConditions(self.plan.key_names[0], sentinel, [OWNER])
        actions: list[dict[str, Any]] = [{"Delete": seen.request(self.table, dict(key))}]
        if owner is not None:
            actions.append({"ConditionCheck": self._as_read(owner, item)})
        return await self._transact(actions)

    async def _write_sentinel(self, partition: str, rule: str, owner: Item, item: Item | None) -> bool:
        """Write a value's sentinel on the condition that it is absent and the value's only owner is as it was read."""
        if partition in self._duplicate_values:
            return False
        plan = self.plan
        name = placeholder(plan.key_names[0])
        put = {
            "TableName": self.table,
            "Item": sentinel_item(plan.key_names, plan.kind_attribute, partition, rule, owner),
            # A sentinel that names this owner is from this write, after a lost answer.
            "ConditionExpression": f"attribute_not_exists({name}) OR #owner = :owner",
            "ExpressionAttributeNames": {name: plan.key_names[0], "#owner": OWNER},
            "ExpressionAttributeValues": {":owner": {"M": dict(owner)}},
        }
        return await self._transact([{"Put": put}, {"ConditionCheck": self._as_read(owner, item)}])

    async def _transact(self, actions: list[dict[str, Any]]) -> bool:
        """Return whether one transaction took place; it does not when its conditions no longer hold."""
        try:
            await self._call("TransactWriteItems", {"TransactItems": actions})
        except DynamoError as error:
            if error.code != "TransactionCanceledException":
                raise
            return False
        return True

    def _as_read(self, owner: Item, item: Item | None) -> dict[str, Any]:
        if item is not None:
            kind = self.plan.kind_of(item)
            reads = set() if kind is None else set(kind.unique_reads)
            compared = (reads | {self.plan.kind_attribute}) - set(self.plan.key_names)
            return AsReadConditions(self.plan.key_names[0], item, compared).request(self.table, dict(owner))
        name = placeholder(self.plan.key_names[0])
        return {
            "TableName": self.table,
            "Key": dict(owner),
            "ConditionExpression": f"attribute_not_exists({name})",
            "ExpressionAttributeNames": {name: self.plan.key_names[0]},
            "ReturnValuesOnConditionCheckFailure": ALL_OLD,
        }

    # --- reading ---------------------------------------------------------------------------------------------------

    def _rule_of(self, partition: str) -> str:
        rule = partition.split("#")[1] if partition.count("#") > 1 else ""
        return rule if rule in self.plan.unique_values else SORT_VALUE

    async def _read_together(self, keys: Iterable[Item]) -> list[dict[str, Any] | None]:
        """Return the items at ``keys`` as they are at one instant."""
        gets = [{"Get": {"TableName": self.table, "Key": dict(key)}} for key in keys]
        answer = await self._call("TransactGetItems", {"TransactItems": gets})
        return [response.get("Item") for response in answer["Responses"]]

    async def _call(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Send one request; while the store is busy, retry with jitter."""
        for tries in range(1, TRIES_MAX + 1):
            try:
                return await self.store.call(operation, request)
            except DynamoError as error:
                if tries == TRIES_MAX or not _is_busy(error):
                    raise
                await asyncio.sleep(self.randomness.uniform(0.0, min(WAIT_MAX_S, 0.05 * 2**tries)))
        raise AssertionError("the loop returns or raises")


async def _run_all(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run all of ``work`` at once; a single coroutine needs no task."""
    if len(work) == 1:
        await work[0]
        return
    async with asyncio.TaskGroup() as group:
        for each in work:
            group.create_task(each)


def _is_busy(error: DynamoError) -> bool:
    from bursar.rules.transactions.cancellations import BUSY_CODES, CANCELLED, UNCLEAR_CODES, is_busy

    if error.code == CANCELLED:
        return is_busy(error.cancellation_reasons or ())
    return error.code in BUSY_CODES or error.code in UNCLEAR_CODES
