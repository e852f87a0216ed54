"""The move of a store: copy, follow, close, compare, open.

    FROM   in use ────────────────────────────────► closed: every write is refused ──────────────────────► closed
             │ scan │ stream of changes               │ the last changes │
    TO      copying ─► following (caught up) ────────► closing ─► equal? ─► rules, sentinels, chains? ─► open

Each step may be repeated, and TO stores the progress, so the same command continues a move that died. The portals on
FROM take payments until FROM is closed. A payment in progress at that moment is in TO as after a crash, and the sweeper
of TO finishes or undoes it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bursar.bootstrap.move.target_state import PROBE_KEY, MovedTableState, MoveState, TargetState, is_state
from bursar.clock import Clock
from bursar.dynamo.errors import DynamoError
from bursar.dynamo.tools.moving.changed_keys import ChangedKeys
from bursar.dynamo.tools.moving.comparison import Checksum, checksums, differing, total
from bursar.dynamo.tools.moving.copying import TableCopy
from bursar.dynamo.tools.moving.write_fence import CannotClose, WriteFence

if TYPE_CHECKING:
    from bursar.dynamo.tools.moving.patient_store import PatientStore

SEGMENTS: Final = 4
CAUGHT_UP_CHANGES_MAX: Final = 200
"""A pass over the changes that copies at most this many keys has caught up, so closing FROM takes little time."""
FOLLOW_PASSES_MAX: Final = 1_000
COMPARISONS_MAX: Final = 3
COMPARE_AGAIN_AFTER_S: Final = 5.0
PROBE_INTERVAL_S: Final = 5.0
PROBES_MAX: Final = 120
"""The most probes of a closed source before it must have refused a write."""
ENABLE_POLL_S: Final = 1.0
ENABLE_POLLS_MAX: Final = 300
CLOCK_MARGIN_S: Final = 300.0
"""The most seconds by which the clocks of this machine and of FROM may differ.

Changes from this time before the copy are read too.
"""
SHOWN_BUCKETS_MAX: Final = 10


class MoveRefused(Exception):
    """The move cannot begin or continue; the text is for the operator. No data are lost."""


AuditStore = Callable[[], Awaitable[Sequence[str]]]
"""Audits one store, and returns its findings, one line each."""
Note = Callable[[str], None]
"""Receives one line for the operator."""


@dataclass(frozen=True)
class MovedTable:
    """A table to move: its name, and its CreateTable request."""

    name: str
    definition: Mapping[str, Any]

    @property
    def key_names(self) -> tuple[str, ...]:
        """The attributes of its key."""
        return tuple(each["AttributeName"] for each in self.definition["KeySchema"])


@dataclass(frozen=True)
class MoveOptions:
    """``settle_s``: how long FROM must refuse every probe before the last changes are read."""

    segments: int = SEGMENTS
    settle_s: float = 0.0
    writers_stopped: bool = False
    """The operator has stopped every writer, because FROM cannot refuse writes."""


@dataclass
class MoveReport:
    """The result of a move."""

    copied: int = 0
    followed: int = 0
    retries: int = 0
    closed_s: float = 0.0
    """The seconds from closing FROM to opening TO, if this run opened TO."""
    sums: dict[str, Checksum] = field(default_factory=dict)
    """Table → items and checksum, equal on both sides."""


class Move:
    """One move of ``tables`` (the payments table first) from ``source`` to ``target``.

    ``source_name`` and ``target_name`` identify the two places. ``audit_source`` and ``audit_target`` find broken
    rules, sentinels and chains.
    """

    def __init__(
        self,
        source: "PatientStore",
        target: "PatientStore",
        tables: Sequence[MovedTable],
        *,
        source_name: str,
        target_name: str,
        clock: Clock,
        options: MoveOptions,
        audit_source: AuditStore,
        audit_target: AuditStore,
        note: Note,
    ) -> None:
        self._source, self._target, self._tables = source, target, tables
        self._source_name, self._target_name = source_name, target_name
        self._clock, self._options, self._note = clock, options, note
        self._audit_source, self._audit_target = audit_source, audit_target
        self._saved = TargetState(target, tables[0].name)
        self._copies = {table.name: TableCopy(source, target, table.name, table.key_names) for table in tables}
        self._fences = [WriteFence(source, table.name, f"{target_name} {table.name}") for table in tables]
        self.report = MoveReport()

    async def is_done(self) -> bool:
        """Return whether an earlier run has finished this move: FROM is closed by it, and TO is open."""
        if not await self._has_table(self._target, self._tables[0].name) or await self._saved.load() is not None:
            return False
        return await self._fences[0].is_ours()

    async def copy_and_follow(self) -> MoveState:
        """Copy everything, then the changes since, until few are left. FROM stays in use."""
        state = await self._begun()
        if state.phase == "copying":
            await self._copy(state)
            state.phase = "following"
            await self._saved.save(state)
        if state.phase == "following":
            await self._catch_up(state)
        return state

    async def switch(self, state: MoveState) -> MoveReport:
        """Close FROM, copy the last changes, compare both stores, and open TO. Raises :class:`MoveRefused`."""
        if state.phase != "closing":
            await self._require_sound(self._audit_source, "FROM", "mend it and run the command again")
            state.phase = "closing"
            await self._saved.save(state)
        closed_at = self._clock()
        await self._close()
        self._note("FROM is closed to writes; reading the last changes")
        await self._require_equal(state)
        await self._require_sound(self._audit_target, "TO", "FROM is closed; `--reopen` opens it again")
        await self._saved.remove()
        self.report.closed_s = self._clock() - closed_at
        self.report.copied, self.report.followed = state.copied, state.followed
        self.report.retries = self._source.retries + self._target.retries
        return self.report

    async def reopen(self) -> None:
        """Open FROM again; a later run continues the copy. Raises :class:`MoveRefused` if TO is open already."""
        if await self.is_done():
            raise MoveRefused("TO is open and may have newer payments: move it back instead")
        await self._open_fences()
        if await self._has_table(self._target, self._tables[0].name):
            state = await self._saved.load()
            if state is not None and state.phase == "closing":
                state.phase = "following"
                await self._saved.save(state)

    # Before the copy ------------------------------------------------------------------------------------------

    async def _begun(self) -> MoveState:
        """Return the state of the move, which begins now unless it has begun before."""
        for table, fence in zip(self._tables, self._fences, strict=True):
            if not await self._has_table(self._source, table.name):
                raise MoveRefused(f"FROM: must have the table {table.name}")
            if await fence.is_closed_by_another_move():
                raise MoveRefused(f"FROM: must be in use; {table.name} is closed by a move to another place")
        payments = self._tables[0].name
        state = await self._saved.load() if await self._has_table(self._target, payments) else None
        if state is not None:
            if state.source != self._source_name or set(state.tables) != {each.name for each in self._tables}:
                raise MoveRefused(f"TO: must be empty; it is being filled by a move from {state.source}")
            self._note(f"continuing a move: {state.phase}, {state.copied} items copied so far")
            return state
        for table in self._tables:
            await self._create(table)
        for table in self._tables:
            await self._enable_stream(table.name)
        starts = {table.name: MovedTableState([None] * self._options.segments) for table in self._tables}
        state = MoveState(self._source_name, self._clock() - CLOCK_MARGIN_S, starts)
        await self._saved.save(state)
        return state

    async def _create(self, table: MovedTable) -> None:
        """Create the table in TO. An existing table must be empty and have the same keys."""
        if not await self._has_table(self._target, table.name):
            await self._target.call("CreateTable", table.definition)
            await self._until(lambda: self._is_active(self._target, table.name), f"TO: {table.name} is not active")
        described = (await self._target.call("DescribeTable", {"TableName": table.name}))["Table"]
        indexes = {each["IndexName"] for each in described.get("GlobalSecondaryIndexes", ())}
        wanted = {each["IndexName"] for each in table.definition.get("GlobalSecondaryIndexes", ())}
        if described["KeySchema"] != table.definition["KeySchema"] or not indexes >= wanted:
            raise MoveRefused(f"TO: {table.name} must have the keys and indexes of a payments store")
        page = await self._target.call("Scan", {"TableName": table.name, "ConsistentRead": True, "Limit": 1})
        if page["Items"]:
            raise MoveRefused(f"TO: {table.name} must be empty, and no portal may use it yet")

    async def _enable_stream(self, table: str) -> None:
        changed = ChangedKeys(self._source, table)
        await changed.enable()
        await self._until(changed.is_enabled, f"FROM: the stream of {table} is not enabled")

    async def _until(self, is_so: Callable[[], Awaitable[bool]], otherwise: str) -> None:
        for _ in range(ENABLE_POLLS_MAX):
            if await is_so():
                return
            await asyncio.sleep(ENABLE_POLL_S)
        raise MoveRefused(f"{otherwise} after {ENABLE_POLLS_MAX * ENABLE_POLL_S:.0f} s")

    async def _has_table(self, store: "PatientStore", table: str) -> bool:
        try:
            await store.call("DescribeTable", {"TableName": table})
        except DynamoError as error:
            if error.code != "ResourceNotFoundException":
                raise
            return False
        return True

    async def _is_active(self, store: "PatientStore", table: str) -> bool:
        described = (await store.call("DescribeTable", {"TableName": table}))["Table"]
        statuses = {each.get("IndexStatus", "ACTIVE") for each in described.get("GlobalSecondaryIndexes", ())}
        return described["TableStatus"] == "ACTIVE" and statuses <= {"ACTIVE"}

    # The copy -------------------------------------------------------------------------------------------------

    async def _copy(self, state: MoveState) -> None:
        async def note_page(items: int) -> None:
            state.copied += items
            await self._saved.save(state)

        for table in self._tables:
            await self._copies[table.name].copy(state.tables[table.name].starts, note_page)
        self._note(f"{state.copied} items copied; reading the changes since")

    async def _follow(self, state: MoveState) -> int:
        """Copy the changes up to now; return the number of keys."""

        async def note_page(keys: int) -> None:
            state.followed += keys
            await self._saved.save(state)

        copied = 0
        for table in self._tables:
            places = state.tables[table.name].places
            copied += await self._copies[table.name].follow(places, state.began_at, note_page)
        await self._saved.save(state)
        return copied

    async def _catch_up(self, state: MoveState) -> None:
        for _ in range(FOLLOW_PASSES_MAX):
            if await self._follow(state) <= CAUGHT_UP_CHANGES_MAX:
                self._note(f"caught up: {state.followed} changes copied so far")
                return
        raise MoveRefused(f"FROM changes faster than its changes can be copied: {FOLLOW_PASSES_MAX} passes")

    # The switch-over ------------------------------------------------------------------------------------------

    async def _close(self) -> None:
        """Close FROM, and wait until it has refused every probe for ``settle_s``."""
        if self._options.writers_stopped:
            return
        try:
            for table, fence in zip(self._tables, self._fences, strict=True):
                # A refusal for another reason does not prove that the table is closed.
                if not await fence.is_ours() and await fence.refuses_writes(PROBE_KEY):
                    raise MoveRefused(f"FROM: this command must be allowed to write {table.name}, to see it closed")
                await fence.close()
            for fence in self._fences:
                await self._until_closed(fence)
        except CannotClose as error:
            await self._open_fences()
            raise MoveRefused(f"FROM: {error}. Stop every writer, then give --writers-stopped") from error

    async def _until_closed(self, fence: WriteFence) -> None:
        refused_since: float | None = None
        for _ in range(PROBES_MAX):
            now = self._clock()
            if not await fence.refuses_writes(PROBE_KEY):
                refused_since = None
                if self._options.settle_s == 0:
                    raise CannotClose("it accepts writes although its policy denies them")
            elif refused_since is None:
                refused_since = now
            if refused_since is not None and now - refused_since >= self._options.settle_s:
                return
            await asyncio.sleep(PROBE_INTERVAL_S)
        raise CannotClose(f"it accepted writes within {PROBES_MAX * PROBE_INTERVAL_S:.0f} s of its closing")

    async def _open_fences(self) -> None:
        for fence in self._fences:
            with suppress(CannotClose):
                await fence.open()

    async def _require_equal(self, state: MoveState) -> None:
        """Copy the last changes and compare all tables. Streams may lag, so a difference is checked again."""
        found: list[str] = []
        for attempt in range(COMPARISONS_MAX):
            if attempt:
                await asyncio.sleep(COMPARE_AGAIN_AFTER_S)
            while await self._follow(state):
                pass
            found = [line for table in self._tables for line in await self._differences(table)]
            if not found:
                return
        raise MoveRefused(
            "FROM and TO differ, so TO stays closed: " + "; ".join(found) + ". `--reopen` opens FROM again"
        )

    async def _differences(self, table: MovedTable) -> list[str]:
        name, partition, segments = table.name, table.key_names[0], self._options.segments
        ours, theirs = await asyncio.gather(
            checksums(self._source, name, partition, segments=segments),
            checksums(self._target, name, partition, segments=segments, left_out=is_state),
        )
        buckets = differing(ours, theirs)
        self.report.sums[name] = total(ours)
        if not buckets:
            return []
        shown = ", ".join(str(bucket) for bucket in buckets[:SHOWN_BUCKETS_MAX])
        counts = f"{total(ours).items} and {total(theirs).items} items"
        return [f"{name} in {len(buckets)} buckets of partitions ({shown}), {counts}"]

    async def _require_sound(self, audit: AuditStore, side: str, remedy: str) -> None:
        findings = await audit()
        if findings:
            raise MoveRefused(f"{side}: {len(findings)} findings of the audit, first: {findings[0]}; {remedy}")
        self._note(f"{side} is sound: rules, sentinels, chains of events, daily roots")
