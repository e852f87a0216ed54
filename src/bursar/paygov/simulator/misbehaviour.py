"""Misbehaviour as data: what goes wrong, with which calls, how often, and whether the operation took place.

A plan is a list of misbehaviours, looked at in order for each call; the first that applies happens. They come
from the command line (``drop operations=complete probability=0.1``), over HTTP as JSON, or from a test.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from bursar.paygov.protocol import COMPLETE, COMPLETE_WITH_DETAILS, GET_DETAILS, QUERY, START

DELAY_MAX_S = 3_600.0
PLAN_MAX = 10_000
"""Misbehaviours in a plan; a test that plans one per token needs many."""


@dataclass(frozen=True)
class MisbehaviourKind:
    """What one kind of misbehaviour is, and whether the operation may (or must) take place under it."""

    meaning: str
    takes_place: bool
    fixed: bool = False


KINDS: Final[Mapping[str, MisbehaviourKind]] = {
    "delay": MisbehaviourKind("everything happens, delay_s late: worst if longer than the caller waits", True, True),
    "refuse": MisbehaviourKind("no connection (over a real socket, where one exists already: a reset)", False, True),
    "drop": MisbehaviourKind("no reply, ever", True),
    "reset": MisbehaviourKind("the connection is reset instead of a reply", True),
    "cut": MisbehaviourKind("the HTTP reply ends in its middle", True),
    "http": MisbehaviourKind("a bare HTTP error with this status", False),
    "garbage": MisbehaviourKind("bytes that are not XML", True),
    "truncated": MisbehaviourKind("the first half of the XML, as a whole HTTP reply", True),
    "wrong_shape": MisbehaviourKind("good XML that is not the reply", True),
    "fault": MisbehaviourKind("a fault with this code", False),
    "duplicated": MisbehaviourKind("the reply twice in one", True, True),
    "twice": MisbehaviourKind("the network delivers the request twice, and the reply is the second one's", True, True),
    "drip": MisbehaviourKind("the reply, drop after drop over delay_s", True, True),
    "wrong_agency": MisbehaviourKind("the reply of another payer's collection", True, True),
    "wrong_amount": MisbehaviourKind("the reply with another amount", True, True),
}

OPERATIONS: Final[Mapping[str, frozenset[str]]] = {
    "start": frozenset((START.name,)),
    "complete": frozenset((COMPLETE.name, COMPLETE_WITH_DETAILS.name)),
    "details": frozenset((GET_DETAILS.name,)),
    "query": frozenset((QUERY.name,)),
}


@dataclass(frozen=True, kw_only=True)
class Misbehaviour:
    """One thing that goes wrong.

    kind: one of KINDS. takes_place: whether the operation is carried out; None: as is usual for the kind.
    operations: of start, complete, details, query; empty: all. token, agency_tracking_id: only calls about these.
    probability: 0 to 1. times: how many calls at most; None: no end. delay_s: waited before anything else
    happens (for a drip: spread over the reply). status: of an ``http``. code: of a ``fault``.

    Raises ValueError for what makes no sense; the message names the field.
    """

    kind: str
    takes_place: bool | None = None
    operations: tuple[str, ...] = ()
    token: str | None = None
    agency_tracking_id: str | None = None
    probability: float = 1.0
    times: int | None = None
    delay_s: float = 0.0
    status: int = 503
    code: str = "4117"

    def __post_init__(self) -> None:
        kind = KINDS.get(self.kind)
        if kind is None:
            raise ValueError(f"kind: {self.kind!r} is not one of {', '.join(KINDS)}")
        if kind.fixed and self.takes_place not in (None, kind.takes_place):
            raise ValueError(f"takes_place: a {self.kind} {'always' if kind.takes_place else 'never'} takes place")
        unknown = set(self.operations) - set(OPERATIONS)
        if unknown:
            raise ValueError(f"operations: {', '.join(sorted(unknown))} not of {', '.join(OPERATIONS)}")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability: {self.probability} is not between 0 and 1")
        if self.times is not None and self.times < 1:
            raise ValueError("times: at least 1, or left out")
        if not 0 <= self.delay_s <= DELAY_MAX_S:
            raise ValueError(f"delay_s: between 0 and {DELAY_MAX_S:g} seconds")
        if not 400 <= self.status <= 599:
            raise ValueError(f"status: {self.status} is not an HTTP error")

    @property
    def happens(self) -> bool:
        """Whether the operation is carried out."""
        return KINDS[self.kind].takes_place if self.takes_place is None else self.takes_place

    def applies(self, operation: str, token: str | None, agency_tracking_id: str | None) -> bool:
        return (
            (not self.operations or any(operation in OPERATIONS[each] for each in self.operations))
            and self.token in (None, token)
            and self.agency_tracking_id in (None, agency_tracking_id)
        )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "Misbehaviour":
        """From JSON or text values. Raises ValueError naming the field that is unknown or cannot be read."""
        unknown = set(values) - set(_READERS)
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: not of {', '.join(_READERS)}")
        if "kind" not in values:
            raise ValueError(f"kind: needed, one of {', '.join(KINDS)}")
        read = {}
        for name, value in values.items():
            if value is None:
                continue
            try:
                read[name] = _READERS[name](value)
            except (TypeError, ValueError):
                raise ValueError(f"{name}: cannot be read from {value!r}") from None
        return cls(**read)

    @classmethod
    def from_text(cls, text: str) -> "Misbehaviour":
        """From the command line's form: ``KIND [field=value …]``; several operations are joined by a comma."""
        kind, *rest = text.split() or [""]
        values: dict[str, Any] = {"kind": kind}
        for word in rest:
            name, equals, value = word.partition("=")
            if not equals:
                raise ValueError(f"{word!r}: takes the form field=value")
            values[name] = value
        return cls.from_mapping(values)

    def to_mapping(self) -> dict[str, Any]:
        """As JSON, with takes_place said outright."""
        return asdict(self) | {"takes_place": self.happens, "operations": list(self.operations)}


class MisbehaviourPlan:
    """The misbehaviours in force. Chooses by the randomness it was given, so that a seed repeats a run."""

    def __init__(self, randomness: random.Random, misbehaviours: Iterable[Misbehaviour] = ()) -> None:
        self._randomness = randomness
        self._in_force: list[Misbehaviour] = []
        self.add(*misbehaviours)

    def __len__(self) -> int:
        return len(self._in_force)

    def add(self, *misbehaviours: Misbehaviour) -> None:
        """All of them, or none: raises ValueError when there would be more than PLAN_MAX in force."""
        if len(self._in_force) + len(misbehaviours) > PLAN_MAX:
            raise ValueError(f"at most {PLAN_MAX} misbehaviours can be in force")
        self._in_force.extend(misbehaviours)

    def clear(self) -> None:
        self._in_force.clear()

    def in_force(self) -> tuple[Misbehaviour, ...]:
        """In the order in which they are looked at; ``times`` is what is left of it."""
        return tuple(self._in_force)

    def choose(self, operation: str, token: str | None, agency_tracking_id: str | None) -> Misbehaviour | None:
        """What goes wrong with this call, if anything; counts it."""
        for position, each in enumerate(self._in_force):
            if not each.applies(operation, token, agency_tracking_id):
                continue
            if each.probability < 1 and self._randomness.random() >= each.probability:
                continue
            self._count(position, each)
            return each
        return None

    def _count(self, position: int, chosen: Misbehaviour) -> None:
        if chosen.times == 1:
            del self._in_force[position]
        elif chosen.times is not None:
            self._in_force[position] = replace(chosen, times=chosen.times - 1)


_TRUTHS: Final = {"true": True, "yes": True, "false": False, "no": False}


def _parse_boolean(value: Any) -> bool:
    try:
        return _TRUTHS[str(value).lower()]
    except KeyError:
        raise ValueError(value) from None


def _parse_names(value: Any) -> tuple[str, ...]:
    return tuple(value.split(",")) if isinstance(value, str) else tuple(str(each) for each in value)


_READERS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "kind": str,
    "takes_place": _parse_boolean,
    "operations": _parse_names,
    "token": str,
    "agency_tracking_id": str,
    "probability": float,
    "times": int,
    "delay_s": float,
    "status": int,
    "code": str,
}
