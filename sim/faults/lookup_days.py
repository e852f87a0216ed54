"""The lookups of a simulated day: which of them Pay.gov offers, the portal asks, and the portal believes."""

from dataclasses import dataclass
from typing import Final

from bursar.paygov.protocol import LOOKUPS, LookupName


@dataclass(frozen=True)
class Lookups:
    """The lookups of one day. ``share``: how often the day comes, of all days.

    ``offered`` by Pay.gov, ``configured`` at the portal, and ``confirmed``, so that their "none" is believed.
    ``blind``: Pay.gov's getDetails by agency tracking id always answers that there is none.
    """

    name: str
    share: int
    offered: frozenset[LookupName]
    configured: tuple[LookupName, ...]
    confirmed: tuple[LookupName, ...]
    blind: bool = False


BOTH_LOOKUPS: Final = Lookups("both", 25, frozenset(LOOKUPS), LOOKUPS, LOOKUPS)
ONLY_QUERY: Final = Lookups("query only", 15, frozenset(("query",)), ("query",), ("query",))
NO_LOOKUP: Final = Lookups("none", 12, frozenset(), (), ())
DAYS_LOOKUPS: Final = (
    BOTH_LOOKUPS,
    ONLY_QUERY,
    Lookups("details only", 15, frozenset(("details",)), ("details",), ("details",)),
    Lookups("details refused, query second", 10, frozenset(("query",)), LOOKUPS, LOOKUPS),
    Lookups("blind details not confirmed, query second", 7, frozenset(LOOKUPS), LOOKUPS, ("query",), blind=True),
    NO_LOOKUP,
    Lookups("details refused and not confirmed", 5, frozenset(), ("details",), ()),
    Lookups("details not confirmed", 6, frozenset(("details",)), ("details",), ()),
    Lookups("blind details not confirmed", 5, frozenset(("details",)), ("details",), (), blind=True),
)
