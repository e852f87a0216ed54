"""Misbehaviours as data: the kind, the calls, the frequency, and whether the operation takes place.

A plan is a list of misbehaviours. For each call, the first one in the list that applies happens. Misbehaviours come
from the command line (``drop operations=complete probability=0.1``), over HTTP as JSON, or from a test.
"""

import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

from bursar.paygov.protocol import (
    COMPLETE,
    COMPLETE_WITH_DETAILS,
    GET_DETAILS,
    GET_DETAILS_BY_AGENCY_ID,
    QUERY,
    START,
    SoapOperation,
)

DELAY_MAX_S = 3_600.0
PLAN_MAX = 10_000
"""The most misbehaviours in a plan. A test that plans one for each token needs many."""


@dataclass(frozen=True)
class MisbehaviourKind:
    """One kind of misbehaviour.

    meaning: a description for GET /misbehave. takes_place: whether the operation takes place. fixed: whether
    takes_place of this kind cannot be changed.
    """

    meaning: str
    takes_place: bool
    fixed: bool = False


KINDS: Final[Mapping[str, MisbehaviourKind]] = {
    "delay": MisbehaviourKind(
        "everything happens, delay_s late: worst if this is longer than the caller waits", True, True
    ),
    "refuse": MisbehaviourKind("no connection (a reset over a real socket, which is already connected)", False, True),
    "drop": MisbehaviourKind("no reply", True),
    "reset": MisbehaviourKind("the connection is reset instead of a reply", True),
    "cut": MisbehaviourKind("the HTTP reply ends in its middle", True),
    "http": MisbehaviourKind("a bare HTTP error with this status", False),
    "garbage": MisbehaviourKind("bytes that are not XML", True),
    "truncated": MisbehaviourKind("the first half of the XML, as a whole HTTP reply", True),
    "wrong_shape": MisbehaviourKind("well-formed XML that is not the reply", True),
    "fault": MisbehaviourKind("a fault with this code", False),
    "duplicated": MisbehaviourKind("the reply twice in one body", True, True),
    "twice": MisbehaviourKind("the network delivers the request twice, and the reply is the second one's", True, True),
    "drip": MisbehaviourKind("the reply in small pieces over delay_s", True, True),
    "wrong_agency": MisbehaviourKind("the reply of another payer's collection", True, True),
    "wrong_amount": MisbehaviourKind("the reply with another amount", True, True),
}

FIND_DETAILS: Final = f"{GET_DETAILS_BY_AGENCY_ID.name} by agency_tracking_id"

OPERATIONS: Final[Mapping[str, frozenset[str]]] = {
    "start": frozenset((START.name,)),
    "complete": frozenset((COMPLETE.name, COMPLETE_WITH_DETAILS.name)),
    "details": frozenset((GET_DETAILS.name, FIND_DETAILS)),
    "details_by_agency_id": frozenset((FIND_DETAILS,)),
    "query": frozenset((QUERY.name,)),
}


def planned_name(operation: SoapOperation) -> str:
    """Return the name of ``operation`` in plans: getDetails has two names, one for each kind of id."""
    return FIND_DETAILS if operation is GET_DETAILS_BY_AGENCY_ID else operation.name


@dataclass(frozen=True, kw_only=True)
class Misbehaviour:
    """One misbehaviour.

    kind: one of KINDS. takes_place: whether the operation is carried out; None: the default of the kind.
    operations: of start, complete, details, details_by_agency_id, query; empty: all. token, agency_tracking_id: only
    calls about these. probability: 0 to 1. times: the most calls; None: no bound. delay_s: the delay before anything
    else happens (for a drip: spread over the reply). status: of an ``http``. code: of a ``fault``.

    Raises ValueError for invalid values; the message names the field.
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
            raise ValueError(f"kind: must be one of {', '.join(KINDS)}; got {self.kind!r}")
        if kind.fixed and self.takes_place not in (None, kind.takes_place):
            raise ValueError(f"takes_place: must be {str(kind.takes_place).lower()} for {self.kind}")
        unknown = set(self.operations) - set(OPERATIONS)
        if unknown:
            raise ValueError(f"operations: must be of {', '.join(OPERATIONS)}; got {', '.join(sorted(unknown))}")
        if not 0 <= self.probability <= 1:
            raise ValueError(f"probability: must be between 0 and 1; got {self.probability}")
        if self.times is not None and self.times < 1:
            raise ValueError(f"times: must be at least 1, or left out; got {self.times}")
        if not 0 <= self.delay_s <= DELAY_MAX_S:
            raise ValueError(f"delay_s: must be between 0 and {DELAY_MAX_S:g} seconds; got {self.delay_s}")
        if not 400 <= self.status <= 599:
            raise ValueError(f"status: must be an HTTP error, 400 to 599; got {self.status}")

    @property
    def happens(self) -> bool:
        """Whether the operation is carried out."""
        return KINDS[self.kind].takes_place if self.takes_place is None else self.takes_place

    def applies(self, operation: str, token: str | None, agency_tracking_id: str | None) -> bool:
        """Return whether the misbehaviour concerns a call. Probability and times are not counted."""
        return (
            (not self.operations or any(operation in OPERATIONS[each] for each in self.operations))
            and self.token in (None, token)
            and self.agency_tracking_id in (None, agency_tracking_id)
        )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> "Misbehaviour":
        """Make a misbehaviour from JSON or text values. Raises ValueError; the message names the field."""
        unknown = set(values) - set(_READERS)
        if unknown:
            raise ValueError(f"{', '.join(sorted(unknown))}: must be one of {', '.join(_READERS)}")
        if "kind" not in values:
            raise ValueError(f"kind: must be one of {', '.join(KINDS)}; got none")
        read = {}
        for name, value in values.items():
            if value is None:
                continue
            try:
                read[name] = _READERS[name](value)
            except (TypeError, ValueError):
                raise ValueError(f"{name}: must be readable; got {value!r}") from None
        return cls(**read)

    @classmethod
    def from_text(cls, text: str) -> "Misbehaviour":
        """Make a misbehaviour from ``KIND [field=value …]``, the command line's form. A comma joins operations."""
        kind, *rest = text.split() or [""]
        values: dict[str, Any] = {"kind": kind}
        for word in rest:
            name, equals, value = word.partition("=")
            if not equals:
                raise ValueError(f"the word after the kind: must be field=value; got {word!r}")
            values[name] = value
        return cls.from_mapping(values)

    def to_mapping(self) -> dict[str, Any]:
        """Return the misbehaviour as JSON, with takes_place resolved to a boolean."""
        return asdict(self) | {"takes_place": self.happens, "operations": list(self.operations)}


class MisbehaviourPlan:
    """The misbehaviours in force.

    All random choices use the given randomness, so that a run can be repeated from its seed.
    """

    def __init__(self, randomness: random.Random, misbehaviours: Iterable[Misbehaviour] = ()) -> None:
        self._randomness = randomness
        self._in_force: list[Misbehaviour] = []
        self.add(*misbehaviours)

    def __len__(self) -> int:
        return len(self._in_force)

    def add(self, *misbehaviours: Misbehaviour) -> None:
        """Add all of them. Raises ValueError, and adds none, if more than PLAN_MAX would be in force."""
        if len(self._in_force) + len(misbehaviours) > PLAN_MAX:
            raise ValueError(f"at most {PLAN_MAX} misbehaviours can be in force")
        self._in_force.extend(misbehaviours)

    def clear(self) -> None:
        """Remove every misbehaviour."""
        self._in_force.clear()

    def in_force(self) -> tuple[Misbehaviour, ...]:
        """Return the misbehaviours in the order of the plan. ``times`` is the number of calls that remain."""
        return tuple(self._in_force)

    def choose(self, operation: str, token: str | None, agency_tracking_id: str | None) -> Misbehaviour | None:
        """Return the misbehaviour of this call, and count it; None if the call succeeds."""
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
