"""A Pay.gov on a bad day, with faults beyond the simulator's plan of misbehaviours.

| fault | what the portal sees | what took place |
|---|---|---|
| all of the plan | refused, late, lost, garbled, another payment's id or amount | as drawn |
| outage | every call refused, silent or HTTP 503 for 10 to 60 minutes | nothing |
| refused lookups | every lookup answered with fault 4117 for hours | nothing |
| crossed reply | the whole, valid reply about another payer's collection, whose id may differ only in case | the same |
| late complete | no reply, on a day on which payers pay at the last moment | the completion, a minute later |
| another amount | a valid reply with that amount, now and later | a charge of another amount |
| another word | Submitted instead of Received, in the middle of a settlement | nothing |
| echo | nothing: the network delivers the request once more, later | the same again, for Pay.gov a second request |
| twice (of the plan) | the reply to the second of two deliveries: 4117 | the completion, once |
"""

import asyncio
import random
import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, Final

from bursar.paygov.errors import Lost, NotSent, TimedOut
from bursar.paygov.protocol import FAULT_TOKEN_UNUSABLE, LookupName
from bursar.paygov.simulator import Misbehaviour, MisbehaviourPlan, Simulator
from bursar.paygov.simulator.books import Entry
from bursar.paygov.simulator.core import RECEIVED
from bursar.paygov.transport import HttpReply, Transport
from sim.faults.fault_switch import FaultSwitch

COMPLETES_MAX: Final = 2
"""The completes that may be sent for one token: one, and another after an unknown outcome.

A complete that fault 4117 answers does not count, if it answered every one before.
"""
UNPAID: Final = f"<return_code>{FAULT_TOKEN_UNUSABLE}</return_code>".encode()
SUBMITTED: Final = "Submitted"
ECHO_S: Final = (1.0, 600.0)
HELD_BACK_S: Final = (600.0, 880.0)
"""When a complete arrives that is held back over a restore: before the grace period ends, and after the payer may come
back to a portal that has lost the attempt."""
CROSSED_BY_ID: Final = "048C"
"""The last characters of Pay.gov's tracking id for which a crossed reply has another agency tracking id; otherwise it
has the same one in capitals."""
OUTAGE_S: Final = (600.0, 3600.0)
OUTAGES: Final = (
    Misbehaviour(kind="refuse"),
    Misbehaviour(kind="refuse"),
    Misbehaviour(kind="drop", takes_place=False),
    Misbehaviour(kind="http", status=503),
)
REFUSED_LOOKUPS: Final = Misbehaviour(kind="fault", code="4117", operations=("details", "query"))
REFUSED_S: Final = (4 * 3600.0, 5 * 3600.0)
"""Longer than the life of a token and its grace, so that attempts end while every lookup is refused."""
LATE_COMPLETE: Final = Misbehaviour(kind="delay", delay_s=60.0, operations=("complete",), probability=0.8)

# Pay.gov's faults, each with its share of all faults.
FAULTS: Final[tuple[tuple[dict[str, Any], int], ...]] = (
    ({"kind": "delay", "delay_s": 30.0}, 3),
    ({"kind": "delay", "delay_s": 400.0}, 1),
    ({"kind": "refuse"}, 3),
    ({"kind": "drop", "takes_place": True}, 4),
    ({"kind": "drop", "takes_place": False}, 2),
    ({"kind": "reset", "takes_place": True}, 3),
    ({"kind": "reset", "takes_place": False}, 2),
    ({"kind": "cut"}, 1),
    ({"kind": "http", "status": 500, "takes_place": True}, 1),
    ({"kind": "http", "status": 503, "takes_place": False}, 1),
    ({"kind": "garbage"}, 1),
    ({"kind": "truncated"}, 1),
    ({"kind": "wrong_shape"}, 1),
    ({"kind": "duplicated"}, 1),
    ({"kind": "drip", "delay_s": 5.0}, 1),
    ({"kind": "twice", "operations": ("complete",)}, 3),
    ({"kind": "wrong_agency", "operations": ("complete", "details", "query")}, 1),
    ({"kind": "wrong_amount", "operations": ("complete", "details", "query")}, 1),
)
FAULT_SHARES: Final = sum(share for _, share in FAULTS)

# An operation's name in a request's body → the portal's name for it.
_OPERATIONS: Final = (
    (b"startOnlineCollection", "start"),
    (b"completeOnlineCollection", "complete"),
    (b"getDetails", "details"),
)
_TOKEN: Final = re.compile(rb"<token>([^<]+)</token>")


def operation_of(body: bytes) -> str:
    """Return the operation of a request to Pay.gov: start, complete, details or query."""
    for mark, name in _OPERATIONS:
        if mark in body:
            return name
    return "query"


@dataclass(frozen=True)
class Outage:
    """From ``since`` to ``until`` (Unix seconds), ``misbehaviour`` happens to every call that it applies to."""

    since: float
    until: float
    misbehaviour: Misbehaviour


class CountingPlan(MisbehaviourPlan):
    """A plan with outages, which counts and notes the faults that it injects."""

    def __init__(
        self,
        randomness: random.Random,
        counts: Counter[str],
        clock: Callable[[], float],
        note: Callable[[str], None],
        switch: FaultSwitch,
    ) -> None:
        super().__init__(randomness)
        self._switch = switch
        self.outages: list[Outage] = []
        self._counts = counts
        self._clock = clock
        self._note = note

    def __len__(self) -> int:
        return 1  # never skipped: outages and the timeline need every call

    def choose(self, operation: str, token: str | None, agency_tracking_id: str | None) -> Misbehaviour | None:
        """Return the fault for this call; None for a good answer."""
        now, call = self._clock(), (operation, token, agency_tracking_id)
        under_way = (each for each in self.outages if each.since <= now < each.until)
        outage = next((each for each in under_way if each.misbehaviour.applies(*call)), None)
        chosen = outage.misbehaviour if outage else super().choose(operation, token, agency_tracking_id)
        fate = "answers" if chosen is None else f"{chosen.kind}, {'done' if chosen.happens else 'not done'}"
        if chosen is not None and outage is None and not self._switch.strikes(f"Pay.gov {fate}"):
            chosen, fate = None, "answers"
        if chosen is not None:
            self._counts["Pay.gov outage" if outage else f"Pay.gov {fate}"] += 1
        self._note(f"Pay.gov: {operation} of {agency_tracking_id or '?'}: {fate}")
        return chosen


class OddPayGov(Simulator):
    """A Pay.gov that sometimes charges another amount, or answers with another payer's collection.

    ``oddity`` is the probability of each, for one completion. If it is ``blind``, getDetails finds no collection by its
    agency tracking id.
    """

    oddity = 0.0
    blind = False
    counts: Counter[str]
    switch: FaultSwitch

    def status(self, entry: Entry) -> str:
        """Return Pay.gov's word for a collection: it changes in the middle of its settlement."""
        word = super().status(entry)
        half_settled = (
            entry.completed_at is not None and self.clock() > entry.completed_at + self.settings.ach_settle_s / 2
        )
        return SUBMITTED if word == RECEIVED and half_settled else word

    def find(self, lookup: LookupName, tcs_app_id: str, agency_tracking_id: str) -> tuple[Entry, ...]:
        """Find the collections, unless it is blind."""
        found = super().find(lookup, tcs_app_id, agency_tracking_id)
        if not (self.blind and lookup == "details" and found):
            return found
        self.counts["Pay.gov lookup blind to a collection"] += 1
        return ()

    def complete(self, tcs_app_id: str, token: str) -> Entry:
        """Complete the collection, with an oddity if one is drawn."""
        entry = self.books.entry(token)
        drawn = self.randomness.random() if self.oddity and entry is not None and entry.paid_at is not None else 1.0
        if entry is None or not self.usable(entry) or drawn >= 2 * self.oddity:
            return super().complete(tcs_app_id, token)
        if drawn < self.oddity:
            if not self.switch.strikes("Pay.gov charged another amount"):
                return super().complete(tcs_app_id, token)
            self.counts["Pay.gov charged another amount"] += 1
            entry.amount += Decimal("1.00")
            return super().complete(tcs_app_id, token)
        done = self.randomness.random() < 0.5
        crossed = f"Pay.gov crossed reply, {'done' if done else 'not done'}"
        if not self.switch.strikes(crossed):
            return super().complete(tcs_app_id, token)
        self.counts[crossed] += 1
        if done:
            super().complete(tcs_app_id, token)
        name, now = self._tracking_id(), self.clock()
        other = f"s{name[1:].lower()}" if name[-1] in CROSSED_BY_ID else entry.agency_tracking_id.upper()
        return replace(entry, agency_tracking_id=other, paygov_tracking_id=name, completed_at=now)


class EchoingTransport:
    """The network to Pay.gov: sometimes delivers a request twice, and finds concurrent completes of one token."""

    def __init__(
        self,
        inner: Transport,
        randomness: random.Random,
        counts: Counter[str],
        find: Callable[[str], None],
        switch: FaultSwitch,
    ) -> None:
        self._inner = inner
        self._switch = switch
        self._randomness = randomness
        self._counts = counts
        self._find = find
        self._echoes: list[asyncio.Task[None]] = []
        self._completing: dict[bytes, int] = {}
        self._completed: Counter[bytes] = Counter()
        self.echo_rate = 0.0
        self.holds_back: Callable[[str], bool] | None = None
        """Whether the complete of a token arrives late, after HELD_BACK_S, and gets no answer; None: none does."""
        self.held_back = asyncio.Event()

    def forget(self) -> None:
        """Forget which completes were sent and are under way, as a restored store does."""
        self._completed.clear()
        self._completing = {}

    async def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> HttpReply:
        """Send the request, and sometimes again later."""
        operation = operation_of(body)
        token = _TOKEN.search(body) if operation == "complete" else None
        key = token.group(1) if token else None
        completing = self._completing
        if key is not None:
            if completing.get(key):
                self._find(f"two completes of {key.decode()[:8]}… under way at once")
            completing[key] = completing.get(key, 0) + 1
            self._completed[key] += 1
            if self._completed[key] == COMPLETES_MAX + 1:
                self._find(f"the complete of {key.decode()[:8]}… was sent more than {COMPLETES_MAX} times")
        may_echo = False
        try:
            if key is not None and self.holds_back is not None and self.holds_back(key.decode()):
                self._counts["Pay.gov complete held back"] += 1
                self.held_back.set()
                echo = self._echo(url, body, headers, timeout_s, HELD_BACK_S)
                self._echoes.append(asyncio.get_running_loop().create_task(echo))
                await asyncio.sleep(timeout_s)
                raise TimedOut("held back")
            reply = await self._inner.post(url, body, headers, timeout_s)
            if key is not None and UNPAID in reply.body and self._completed[key] == 1:
                self._completed[key] = 0
            may_echo = b"Fault" not in reply.body
            return reply
        except NotSent:
            if key is not None:
                self._completed[key] -= 1
            raise
        except (TimedOut, Lost):
            may_echo = True
            raise
        except asyncio.CancelledError:
            if key is not None:
                self._find(f"the complete of {key.decode()[:8]}… was abandoned with its caller")
            elif operation == "start":
                self._find("a start was abandoned with its caller")
            raise
        finally:
            if key is not None:
                completing[key] -= 1
            echoes = may_echo and self._randomness.random() < self.echo_rate
            if echoes and self._switch.strikes("Pay.gov request delivered twice"):
                self._counts["Pay.gov request delivered twice"] += 1
                echo = self._echo(url, body, headers, timeout_s)
                self._echoes.append(asyncio.get_running_loop().create_task(echo))

    async def close(self) -> None:
        """Close the transport behind it."""
        await self._inner.close()

    async def _echo(
        self,
        url: str,
        body: bytes,
        headers: Mapping[str, str],
        timeout_s: float,
        after_s: tuple[float, float] = ECHO_S,
    ) -> None:
        await asyncio.sleep(self._randomness.uniform(*after_s))
        try:
            await self._inner.post(url, body, headers, timeout_s)
        except Exception:  # no caller waits for the answer to an echo
            return
